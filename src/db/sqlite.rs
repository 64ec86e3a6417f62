//! SQLite: one reader connection a thread, one writer thread for the process.

mod reader;
mod wal_index;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager,
};
use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use self::reader::Readers;
use self::wal_index::WalIndex;
use super::{Connection, DatabaseError, LOCK_WAIT, OpenError, Setup};

/// Writes that may wait for the writer thread.
const QUEUE: usize = 1024;
/// Jobs in one commit. With more, the fsync is no longer the main cost.
const GROUP: usize = 64;

/// First, because it drops temporary tables. In a file, the copies that undo a
/// savepoint would hold what is in the pages.
const FIRST_PRAGMA: &str = "PRAGMA temp_store = MEMORY";

const WRITER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA cache_size = -8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;";

const READER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 1000;
    PRAGMA mmap_size = 1073741824;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA query_only = ON;";

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// The end of the process: the system has what it wrote.
    Unsynced,
    /// The loss of power too.
    Synced,
}

impl Durability {
    /// Applies to the next commits; only between transactions.
    fn set(self, connection: &mut SqliteConnection) -> QueryResult<()> {
        connection.batch_execute(match self {
            Self::Unsynced => "PRAGMA synchronous = NORMAL",
            Self::Synced => "PRAGMA synchronous = FULL",
        })
    }
}

/// Tells the caller the outcome of a job, once its group is committed or has failed.
type Reply = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;

/// One queued write.
struct Job {
    queued: Instant,
    durability: Durability,
    /// Does the work in a savepoint of the connection, or, without a connection, only
    /// gives the reply.
    work: Box<dyn FnOnce(Option<&mut Connection<'_>>) -> Reply + Send>,
}

impl Job {
    fn refuse(self, error: DatabaseError) {
        (self.work)(None)(Err(error));
    }
}

pub(super) struct Sqlite {
    readers: Readers,
    writer: SyncSender<Job>,
    index: Option<WalIndex>,
}

impl Sqlite {
    pub(super) fn open(path: &Path, setup: &Setup) -> Result<Self, OpenError> {
        let url = format!("sqlite://{}", path.display());
        let open_error = |error: ConnectionError| OpenError::Connect {
            url: url.clone(),
            reason: error.to_string(),
        };
        let mut connection = connect_patiently(path).map_err(open_error)?;
        setup.check(&mut connection, &url)?;
        // The first read makes the index of the log.
        connection
            .batch_execute("SELECT 1 FROM sqlite_schema")
            .map_err(ConnectionError::CouldntSetupConfiguration)
            .map_err(open_error)?;
        let index = WalIndex::open(path);
        let (writer, jobs) = sync_channel(QUEUE);
        let connect = {
            let (path, setup) = (path.to_owned(), setup.sqlite.clone());
            move || Writer::connect(&path, setup.as_deref())
        };
        let first = connect().map_err(open_error)?;
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write_jobs(first, &jobs, connect))?;
        Ok(Self {
            readers: Readers::new(path.to_owned(), setup.sqlite.clone()),
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
        // Before the read: a commit in between makes the snapshot look older than it
        // is, never newer.
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

/// The first connection of the process. It may have to switch the file to the
/// write-ahead log, and SQLite does not wait for a lock to do that: where several
/// processes start at once, this tries again.
fn connect_patiently(path: &Path) -> ConnectionResult<SqliteConnection> {
    let started = Instant::now();
    loop {
        match connect(path, WRITER_PRAGMAS, None) {
            Err(error) if is_locked(&error) && started.elapsed() < LOCK_WAIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            connected => return connected,
        }
    }
}

fn is_locked(error: &ConnectionError) -> bool {
    error.to_string().contains("database is locked")
}

fn connect(path: &Path, pragmas: &str, setup: Option<&str>) -> ConnectionResult<SqliteConnection> {
    // Diesel turns `sqlite://p` into SQLite's `file:p`. It leaves a bare path
    // alone, so no character in it is special.
    let path = path.to_str().ok_or_else(|| {
        ConnectionError::BadConnection("the database path is not valid UTF-8".to_owned())
    })?;
    let mut connection = SqliteConnection::establish(path)?;
    // The set-up comes first: a read-only connection cannot make a view.
    for statements in [FIRST_PRAGMA].into_iter().chain(setup).chain([pragmas]) {
        connection
            .batch_execute(statements)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(connection)
}

/// The one connection that writes.
struct Writer {
    connection: SqliteConnection,
    durability: Durability,
}

impl Writer {
    fn connect(path: &Path, setup: Option<&str>) -> ConnectionResult<Self> {
        Ok(Self {
            connection: connect(path, WRITER_PRAGMAS, setup)?,
            durability: Durability::Synced,
        })
    }

    /// Begins the transaction of a group.
    fn begin(&mut self, durability: Durability) -> QueryResult<()> {
        if durability != self.durability {
            durability.set(&mut self.connection)?;
            self.durability = durability;
        }
        AnsiTransactionManager::begin_transaction_sql(&mut self.connection, "BEGIN IMMEDIATE")
    }

    fn write_group(&mut self, group: Vec<Job>) {
        // The client has given up by now, and behind a stuck lock the queue must
        // drain instead of waiting job by job.
        let (group, late): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|job| job.queued.elapsed() < LOCK_WAIT);
        for job in late {
            job.refuse(DatabaseError::TimedOut);
        }
        let Some(durability) = group.iter().map(|job| job.durability).max() else {
            return;
        };
        if let Err(error) = self.begin(durability) {
            refuse_all(group, &error.to_string());
            return;
        }
        let connection = &mut self.connection;
        let mut replies = Vec::with_capacity(group.len());
        for job in group {
            // A job that panics loses only its own savepoint and answer.
            let mut lent = Connection::Sqlite(connection);
            match catch_unwind(AssertUnwindSafe(|| (job.work)(Some(&mut lent)))) {
                Ok(reply) => replies.push(reply),
                Err(_) => {
                    let _ = lent.rollback();
                }
            }
        }
        let committed = Connection::Sqlite(connection).commit();
        if committed.is_err() {
            let _ = Connection::Sqlite(connection).rollback();
        }
        for reply in replies {
            reply(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(refused(&error.to_string())),
            });
        }
    }
}

/// The writer thread: takes the waiting jobs, does them, commits once, answers.
fn write_jobs(
    mut writer: Writer,
    jobs: &Receiver<Job>,
    connect: impl Fn() -> ConnectionResult<Writer>,
) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        writer.write_group(group);
        // A rollback that failed (a full disk, say) leaves the connection in a
        // state in which Diesel refuses everything from then on.
        let is_broken =
            AnsiTransactionManager::is_broken_transaction_manager(&mut writer.connection);
        if is_broken {
            match connect() {
                Ok(new) => writer = new,
                Err(error) => tracing::error!(%error, "the database cannot be opened again"),
            }
        }
    }
}

fn refuse_all(group: Vec<Job>, reason: &str) {
    for job in group {
        job.refuse(refused(reason));
    }
}

fn refused(reason: &str) -> DatabaseError {
    DatabaseError::Query(diesel::result::Error::QueryBuilderError(reason.into()))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc;

    use diesel::sql_types::Integer;

    use super::super::{Database, DatabaseUrl};
    use super::*;

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
        let sqlite = Sqlite::open(&path, &Setup::default()).unwrap();
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
