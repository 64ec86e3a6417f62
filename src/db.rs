//! The two databases, and the two ways into them: [`Database::read`] and
//! [`Database::write`].
//!
//! SQLite is read inline, on a `query_only` connection of the calling thread
//! (a hop to a blocking pool costs more than the look-up), and written by one
//! thread that commits many jobs at once. PostgreSQL is read and written
//! through an r2d2 pool, on blocking threads. The only SQL here sets connections
//! up, and asks about the database itself ([`inspect`]).

mod cached;
pub mod inspect;
pub mod look_ups;
mod migrations;
mod postgres;
mod setup;
mod sqlite;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::prelude::QueryResult;
use diesel::sqlite::SqliteConnection;

pub use self::cached::cached;
pub use self::look_ups::LookUps;
pub use self::migrations::MigrateError;
pub use self::setup::{Required, Setup};
use self::sqlite::Durability;
pub use self::url::DatabaseUrl;

/// How long a statement waits for another's lock before the request is answered
/// with 503.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A borrowed connection to either database. Queries are written once and
/// expanded for both by the `on!` macro.
pub enum Connection<'a> {
    /// SQLite, embedded in this process.
    Sqlite(&'a mut SqliteConnection),
    /// PostgreSQL, over libpq.
    Postgres(&'a mut PgConnection),
}

/// Runs the same Diesel expression on whichever connection this is.
///
/// Each arm is compiled for its own backend, so the query is written once and can
/// use everything that Diesel offers there (`on_conflict`, `returning`).
macro_rules! on {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            $crate::db::Connection::Sqlite(c) => {
                let $c = &mut **c;
                $body
            }
            $crate::db::Connection::Postgres(c) => {
                let $c = &mut **c;
                $body
            }
        }
    };
}
pub(crate) use on;

impl Connection<'_> {
    fn begin(&mut self) -> QueryResult<()> {
        on!(self, c => manager::begin(c))
    }

    fn commit(&mut self) -> QueryResult<()> {
        on!(self, c => manager::commit(c))
    }

    fn rollback(&mut self) -> QueryResult<()> {
        on!(self, c => manager::rollback(c))
    }

    /// Runs `work` in a transaction, or in a savepoint inside of one.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.begin()?;
        match work(self) {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                // The first error is the one to report.
                let _ = self.rollback();
                Err(error)
            }
        }
    }
}

/// Diesel's transaction manager by short names. Diesel's own `transaction` takes no
/// enum of connections.
mod manager {
    use diesel::connection::{Connection, TransactionManager};
    use diesel::prelude::QueryResult;

    pub(super) fn begin<C: Connection>(c: &mut C) -> QueryResult<()> {
        C::TransactionManager::begin_transaction(c)
    }
    pub(super) fn commit<C: Connection>(c: &mut C) -> QueryResult<()> {
        C::TransactionManager::commit_transaction(c)
    }
    pub(super) fn rollback<C: Connection>(c: &mut C) -> QueryResult<()> {
        C::TransactionManager::rollback_transaction(c)
    }
}

/// The database did not answer, or not in time.
///
/// The variants are for the log: to a client each of them is 503. A client can do
/// as little about a query that fails as about a database that is gone, and in
/// neither case may a request pass.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// More writes are waiting than the queue holds.
    #[error("too many writes are waiting for the database")]
    Overloaded,
    /// The job waited longer than a client would.
    #[error("the database took too long")]
    TimedOut,
    /// The thread that did the work is gone, or the work panicked.
    #[error("the database thread gave no answer")]
    NoAnswer,
    /// No connection of the pool became free.
    #[error("no database connection: {0}")]
    Pool(#[from] r2d2::Error),
    /// A connection could not be opened.
    #[error("{0}")]
    Connect(#[from] diesel::ConnectionError),
    /// There is no connection, and the last attempt to connect failed.
    #[error("no database connection: {0}")]
    Down(String),
    /// The failure of a query that several look-ups shared.
    #[error(transparent)]
    Shared(Arc<DatabaseError>),
    /// The database refused a statement.
    #[error("{0}")]
    Query(#[from] diesel::result::Error),
}

/// Why a database could not be opened at start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or server could not be reached.
    #[error("{url}: cannot open the database: {reason}")]
    Connect {
        /// The address, without a password.
        url: String,
        /// What the driver said.
        reason: String,
    },
    /// A table of Django's that must exist does not.
    #[error(
        "{because}, but {url} has no {table} with Django's columns ({reason}); check the name, or run `manage.py migrate` there first"
    )]
    Table {
        /// The setting that says so.
        because: String,
        /// The address, without a password.
        url: String,
        /// What is missing.
        table: String,
        /// What the database said.
        reason: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread for the database: {0}")]
    Thread(#[from] std::io::Error),
}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    backend: Backend,
    url: DatabaseUrl,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(postgres::Postgres),
}

impl Database {
    /// Connects, and creates the file of a SQLite database that is not there.
    pub fn open(url: &DatabaseUrl, setup: &Setup, pool_size: u32) -> Result<Self, OpenError> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => {
                Backend::Sqlite(Arc::new(sqlite::Sqlite::open(path, setup)?))
            }
            DatabaseUrl::Postgres(text) => {
                Backend::Postgres(postgres::Postgres::open(url, text, setup, pool_size)?)
            }
        };
        Ok(Self {
            backend,
            url: url.clone(),
        })
    }

    /// Where this database is; its `Display` masks the password.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The file of a SQLite database.
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        match &self.url {
            DatabaseUrl::Sqlite(path) => Some(path.clone()),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Runs a read; `work` must not write.
    ///
    /// On SQLite it runs at once, on the calling thread: look-ups by key only.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(work),
            Backend::Postgres(postgres) => postgres.run(false, work).await,
        }
    }

    /// The same for a read that takes its time: never on the calling thread.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let sqlite = Arc::clone(sqlite);
                let read = tokio::task::spawn_blocking(move || sqlite.read(work));
                read.await.unwrap_or(Err(DatabaseError::NoAnswer))
            }
            Backend::Postgres(postgres) => postgres.run(false, work).await,
        }
    }

    /// Runs a write in one transaction and answers when it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Synced, work).await,
            Backend::Postgres(postgres) => postgres.run(true, work).await,
        }
    }

    /// The same for a write that no answer reports. Every process sees it and it
    /// survives a kill, but a loss of power right after it may undo it.
    ///
    /// On PostgreSQL it is like any other write: to relax it would take another
    /// statement.
    pub async fn write_unsynced<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Unsynced, work).await,
            Backend::Postgres(postgres) => postgres.run(true, work).await,
        }
    }

    /// Runs a write that deletes expired rows; `None` if another process is doing
    /// that now.
    pub async fn sweep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<Option<T>, DatabaseError> {
        self.write(|c| match c {
            // One writer at a time is lock enough.
            Connection::Sqlite(_) => work(c).map(Some),
            Connection::Postgres(connection) => {
                if postgres::try_lock(connection)? {
                    work(c).map(Some)
                } else {
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Applies the pending migrations. One process does, the others wait for it.
    ///
    /// Without `makes_djangos`, which is for another project's user table, it only
    /// makes the tables that Django does not know.
    pub fn migrate(url: &DatabaseUrl, makes_djangos: bool) -> Result<Vec<String>, MigrateError> {
        migrations::run(url, makes_djangos)
    }
}
