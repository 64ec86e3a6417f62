//! Opening connections to SQLite.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::result::{ConnectionError, ConnectionResult};
use diesel::sqlite::SqliteConnection;

use crate::db::connection::LOCK_WAIT;

/// First, because it drops temporary tables. In a file, a savepoint's undo copies would
/// expose the pages' contents.
const FIRST_PRAGMA: &str = "PRAGMA temp_store = MEMORY";

pub(super) const WRITER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA cache_size = -8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;";

pub(super) const READER_PRAGMAS: &str = "
    PRAGMA busy_timeout = 1000;
    PRAGMA mmap_size = 1073741824;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA query_only = ON;";

/// The process's first connection. Tries again while the file is locked: SQLite
/// switches to the write-ahead log at once or not at all, and processes may start
/// together.
pub(super) fn connect_first(path: &Path) -> ConnectionResult<SqliteConnection> {
    let started = Instant::now();
    loop {
        match connect(path, WRITER_PRAGMAS) {
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

pub(super) fn connect(path: &Path, pragmas: &str) -> ConnectionResult<SqliteConnection> {
    // A bare path: `sqlite://p` would be SQLite's `file:p`, with special characters.
    let path = path.to_str().ok_or_else(|| {
        ConnectionError::BadConnection("the database path is not valid UTF-8".to_owned())
    })?;
    let mut connection = SqliteConnection::establish(path)?;
    for statements in [FIRST_PRAGMA, pragmas] {
        connection
            .batch_execute(statements)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(connection)
}
