//! One reader connection a thread, and snapshots that many look-ups share.
//!
//! To begin and end a read takes SQLite three system calls, two for contended locks:
//! twice the time of the look-up itself. So a busy thread leaves its transaction open,
//! and uses it for as long as nothing is committed to the database.
//!
//! While a snapshot is open the write-ahead log cannot start over. So none is opened
//! while the log waits for that, and each is closed after [`HOLD`].
//! docs/decisions/0002 says why this is safe.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::QueryResult;
use diesel::sqlite::SqliteConnection;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::connect::{READER_PRAGMAS, connect};
use super::wal_index::{State, Version};
use crate::db::connection::Connection;
use crate::db::error::DatabaseError;

/// How long a snapshot may stay open.
const HOLD: Duration = Duration::from_millis(5);
/// Look-ups that follow each other so closely are likely to continue.
const CLOSE: Duration = Duration::from_millis(1);
/// After so many of them, the next one opens a snapshot.
const MANY: u32 = 3;

thread_local! {
    static READERS: RefCell<Vec<Reader>> = const { RefCell::new(Vec::new()) };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// This thread's connection to a database.
struct Reader {
    /// Of the database, in this process.
    id: u64,
    connection: SqliteConnection,
    /// The version before the open snapshot was taken.
    snapshot: Option<Version>,
    /// When a look-up last had no snapshot to share.
    last: Instant,
    /// Look-ups without a snapshot, each close behind the one before.
    in_a_row: u32,
}

/// The connections of all threads to one database.
pub(super) struct Readers {
    id: u64,
    path: PathBuf,
}

impl Readers {
    /// Each is opened when its thread first reads.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            path,
        }
    }

    /// Runs a read that sees everything committed so far.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.with(|reader| {
            reader.close()?;
            work(&mut Connection::Sqlite(&mut reader.connection))
        })
    }

    /// The same for a look-up, which may be one of many. `state` was read before it.
    /// Not for a blocking thread of a runtime, whose tasks run elsewhere.
    pub(super) fn look_up<T>(
        &self,
        state: Option<State>,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.with(|reader| {
            let version = state.map(|state| state.version);
            if reader.snapshot.is_none() || reader.snapshot != version {
                reader.close()?;
                if reader.is_one_of_many()
                    && let Some(state) = state
                    && !state.awaits_checkpoint
                {
                    reader.open(state.version)?;
                }
            }
            work(&mut Connection::Sqlite(&mut reader.connection))
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Reader) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        READERS.with_borrow_mut(|readers| {
            let found = readers.iter().position(|reader| reader.id == self.id);
            let mut reader = match found {
                Some(at) => readers.swap_remove(at),
                None => self.connect()?,
            };
            let value = work(&mut reader)?;
            // After a failure the connection is not used again.
            readers.push(reader);
            Ok(value)
        })
    }

    fn connect(&self) -> Result<Reader, DatabaseError> {
        Ok(Reader {
            id: self.id,
            connection: connect(&self.path, READER_PRAGMAS)?,
            snapshot: None,
            last: Instant::now(),
            in_a_row: 0,
        })
    }
}

impl Reader {
    fn is_one_of_many(&mut self) -> bool {
        let before = std::mem::replace(&mut self.last, Instant::now());
        self.in_a_row = match self.last.duration_since(before) < CLOSE {
            true => self.in_a_row.saturating_add(1),
            false => 0,
        };
        self.in_a_row >= MANY
    }

    /// Opens a snapshot, if a task on this thread can close it.
    fn open(&mut self, version: Version) -> QueryResult<()> {
        if !runs_its_tasks_itself() {
            return Ok(());
        }
        Connection::Sqlite(&mut self.connection).begin()?;
        self.snapshot = Some(version);
        let closing = Closing { id: self.id };
        tokio::spawn(async move {
            tokio::time::sleep(HOLD).await;
            drop(closing);
        });
        Ok(())
    }

    fn close(&mut self) -> QueryResult<()> {
        match self.snapshot.take() {
            Some(_) => Connection::Sqlite(&mut self.connection).commit(),
            None => Ok(()),
        }
    }
}

/// Whether a task that is spawned here runs on this thread.
fn runs_its_tasks_itself() -> bool {
    Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// Closes the snapshot of this thread, at the latest with its runtime.
struct Closing {
    id: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        // Skipped at the thread's end, which closes all connections, and in a look-up.
        let _ = READERS.try_with(|readers| {
            let Ok(mut readers) = readers.try_borrow_mut() else {
                return;
            };
            let found = readers.iter().position(|reader| reader.id == self.id);
            if let Some(at) = found
                && let Some(reader) = readers.get_mut(at)
                && reader.close().is_err()
            {
                readers.swap_remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::{Connection as _, SimpleConnection};
    use diesel::dsl::sql;
    use diesel::prelude::*;
    use diesel::sql_types::Integer;

    use super::super::Sqlite;
    use super::*;
    use crate::db::Connection;

    /// Far more than a busy machine needs.
    const TRIES: u32 = 100_000;

    struct Fixture {
        folder: tempfile::TempDir,
        sqlite: Sqlite,
        other: SqliteConnection,
    }

    #[derive(QueryableByName)]
    struct Checkpoint {
        #[diesel(sql_type = Integer)]
        busy: i32,
    }

    impl Fixture {
        /// A database with the number 0 in it, and another connection to it.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let sqlite = Sqlite::open(&path).unwrap();
            let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            let create = "CREATE TABLE t (n INTEGER, filler BLOB); INSERT INTO t VALUES (0, NULL)";
            other.batch_execute(create).unwrap();
            Self {
                folder,
                sqlite,
                other,
            }
        }

        fn commit(&mut self, number: i32, filler: usize) {
            let insert = format!("INSERT INTO t VALUES ({number}, zeroblob({filler}))");
            self.other.batch_execute(&insert).unwrap();
        }

        fn look_up(&self) -> i32 {
            let newest = |c: &mut Connection<'_>| match c {
                Connection::Sqlite(c) => {
                    diesel::select(sql::<Integer>("(SELECT max(n) FROM t)")).get_result(*c)
                }
                Connection::Postgres(_) => unreachable!(),
            };
            self.sqlite.look_up(newest).unwrap()
        }

        fn has_snapshot(&self) -> bool {
            READERS.with_borrow(|readers| {
                let mut ours = readers
                    .iter()
                    .filter(|reader| reader.id == self.sqlite.readers.id);
                ours.any(|reader| reader.snapshot.is_some())
            })
        }

        /// Looks up until there is a snapshot; on a busy machine that takes more tries.
        fn take_snapshot(&self, number: i32) {
            for _ in 0..TRIES {
                if self.has_snapshot() {
                    return;
                }
                assert_eq!(self.look_up(), number);
            }
            panic!("no snapshot after {TRIES} look-ups");
        }

        /// Whether the log can be emptied: only if it has no reader.
        fn empties_log(&mut self) -> bool {
            let checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)");
            let found: Checkpoint = checkpoint.get_result(&mut self.other).unwrap();
            found.busy == 0
        }

        fn log_length(&self) -> u64 {
            let log = self.folder.path().join("a.db-wal");
            log.metadata().unwrap().len()
        }
    }

    #[tokio::test]
    async fn a_snapshot_is_never_older_than_the_question() {
        let mut fixture = Fixture::new();
        for number in 1..100 {
            fixture.take_snapshot(number - 1);
            fixture.commit(number, 0);
            for _ in 0..2 * MANY {
                assert_eq!(fixture.look_up(), number);
            }
        }
    }

    #[tokio::test]
    async fn a_read_takes_no_part_in_a_snapshot() {
        let fixture = Fixture::new();
        fixture.take_snapshot(0);
        fixture.sqlite.read(|_| Ok(())).unwrap();
        assert!(!fixture.has_snapshot());
    }

    #[tokio::test]
    async fn a_snapshot_is_closed_when_nobody_asks_any_more() {
        let mut fixture = Fixture::new();
        fixture.take_snapshot(0);
        assert!(!fixture.empties_log(), "the snapshot is in the log");
        for _ in 0..TRIES {
            if !fixture.has_snapshot() {
                break;
            }
            tokio::time::sleep(HOLD).await;
        }
        assert!(!fixture.has_snapshot());
        assert!(fixture.empties_log());
    }

    #[test]
    fn a_snapshot_is_closed_with_its_runtime() {
        let fixture = Fixture::new();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(async { fixture.take_snapshot(0) });
        drop(runtime);
        assert!(!fixture.has_snapshot());
    }

    #[test]
    fn without_a_runtime_none_is_opened() {
        let fixture = Fixture::new();
        for _ in 0..10 * MANY {
            assert_eq!(fixture.look_up(), 0);
            assert!(!fixture.has_snapshot());
        }
    }

    /// No pause, so that no snapshot is closed by time.
    #[tokio::test]
    async fn the_log_begins_anew_however_often_one_asks() {
        let mut fixture = Fixture::new();
        let mut longest = 0;
        for number in 1..500 {
            fixture.commit(number, 40_000);
            for _ in 0..2 * MANY {
                assert_eq!(fixture.look_up(), number);
            }
            longest = longest.max(fixture.log_length());
        }
        // Some 5500 frames of a page of 4096 bytes were written.
        assert!((1000 * 4096..2000 * 4096).contains(&longest), "{longest}");
    }
}
