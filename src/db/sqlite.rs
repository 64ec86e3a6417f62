//! SQLite: one reader connection a thread, one writer thread for the process.

mod connect;
mod reader;
mod wal_index;
mod writer;

use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use self::connect::{READER_PRAGMAS, connect, connect_first};
use self::reader::Readers;
use self::wal_index::WalIndex;
use self::writer::{Job, Writer, write_jobs};
use super::connection::Connection;
use super::error::{DatabaseError, OpenError};

pub(super) use self::writer::Durability;

/// Writes that may wait for the writer thread.
const QUEUE: usize = 1024;

pub(super) struct Sqlite {
    readers: Readers,
    writer: SyncSender<Job>,
    index: Option<WalIndex>,
}

/// A connection that reads, for a look at the start.
pub(super) fn connect_to_read(path: &Path) -> ConnectionResult<SqliteConnection> {
    connect(path, READER_PRAGMAS)
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let url = format!("sqlite://{}", path.display());
        let open_error = |error: ConnectionError| OpenError::Connect {
            url: url.clone(),
            reason: error.to_string(),
        };
        let mut connection = connect_first(path).map_err(open_error)?;
        // The first read makes the index of the log.
        let read = connection.batch_execute("SELECT 1 FROM sqlite_schema");
        read.map_err(ConnectionError::CouldntSetupConfiguration)
            .map_err(open_error)?;
        let index = WalIndex::open(path);
        let (writer, jobs) = sync_channel(QUEUE);
        let readers = Readers::new(path.to_owned());
        let path = path.to_owned();
        let connect = move || Writer::connect(&path);
        let first = connect().map_err(open_error)?;
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write_jobs(first, &jobs, connect))?;
        Ok(Self {
            readers,
            writer,
            index,
        })
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.readers.read(work)
    }

    /// Runs a read by key, which may share a snapshot with those before it.
    pub(super) fn look_up<T>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        // Before the read: a commit in between makes the snapshot look older only.
        let state = self.index.as_ref().and_then(WalIndex::state);
        self.readers.look_up(state, work)
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            queued: Instant::now(),
            durability,
            work: Box::new(move |connection| {
                let result = connection.map(|connection| connection.transaction(work));
                Box::new(move |committed: Result<(), DatabaseError>| {
                    // The caller may have gone; the write stands all the same.
                    let _ = sender.send(match (result, committed) {
                        (Some(Ok(value)), Ok(())) => Ok(value),
                        (Some(Err(error)), _) => Err(error.into()),
                        (_, Err(error)) => Err(error),
                        (None, Ok(())) => Err(DatabaseError::NoAnswer),
                    });
                })
            }),
        };
        self.writer.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DatabaseError::Overloaded,
            TrySendError::Disconnected(_) => DatabaseError::NoAnswer,
        })?;
        receiver.await.unwrap_or(Err(DatabaseError::NoAnswer))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc;

    use diesel::sql_types::Integer;

    use super::*;
    use crate::db::{Database, DatabaseUrl};

    #[derive(diesel::QueryableByName)]
    struct Synchronous {
        #[diesel(sql_type = Integer)]
        synchronous: i32,
    }

    const NORMAL: i32 = 1;
    const FULL: i32 = 2;

    /// What `PRAGMA synchronous` is while the job runs.
    fn synchronous(connection: &mut Connection<'_>) -> QueryResult<i32> {
        let Connection::Sqlite(c) = connection else {
            panic!("this is SQLite");
        };
        let found: Synchronous = diesel::RunQueryDsl::get_result(
            diesel::sql_query("SELECT synchronous FROM pragma_synchronous"),
            &mut **c,
        )?;
        Ok(found.synchronous)
    }

    /// Puts a job into the queue without waiting for it.
    fn enqueue<F: Future + Unpin>(future: &mut F) {
        let waker = std::task::Waker::noop();
        let _ = std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(waker));
    }

    #[tokio::test]
    async fn what_is_told_is_synced_before_and_the_rest_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db.sqlite3");
        Database::migrate(&DatabaseUrl::Sqlite(path.clone()), true).unwrap();
        let sqlite = Sqlite::open(&path).unwrap();
        let alone = async |durability| sqlite.write(durability, synchronous).await.unwrap();

        assert_eq!(alone(Durability::Synced).await, FULL);
        assert_eq!(alone(Durability::Unsynced).await, NORMAL);
        assert_eq!(alone(Durability::Unsynced).await, NORMAL);
        assert_eq!(alone(Durability::Synced).await, FULL);

        // Those that wait while another is written go together.
        let (release, held) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let mut first = Box::pin(sqlite.write(Durability::Unsynced, move |_| {
            started.send(()).unwrap();
            let _ = held.recv();
            Ok(())
        }));
        enqueue(&mut first);
        starts.recv().unwrap();
        let mut unsynced = Box::pin(sqlite.write(Durability::Unsynced, synchronous));
        enqueue(&mut unsynced);
        let mut synced = Box::pin(sqlite.write(Durability::Synced, synchronous));
        enqueue(&mut synced);
        drop(release);

        first.await.unwrap();
        assert_eq!([unsynced.await.unwrap(), synced.await.unwrap()], [FULL; 2]);
    }
}
