//! A connection to either database, and one macro for queries to both.

use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::prelude::QueryResult;
use diesel::sqlite::SqliteConnection;

/// How long a statement waits for a lock before the request is answered with 503.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A borrowed connection to either database; the `on!` macro runs queries on both.
pub enum Connection<'a> {
    /// SQLite, embedded in this process.
    Sqlite(&'a mut SqliteConnection),
    /// PostgreSQL, over libpq.
    Postgres(&'a mut PgConnection),
}

/// Runs a Diesel expression on either connection. Compiled once for each backend, it
/// can use what Diesel offers for both (`on_conflict`, `returning`).
macro_rules! on {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            $crate::db::connection::Connection::Sqlite(c) => {
                let $c = &mut **c;
                $body
            }
            $crate::db::connection::Connection::Postgres(c) => {
                let $c = &mut **c;
                $body
            }
        }
    };
}
pub(crate) use on;

impl Connection<'_> {
    pub(super) fn begin(&mut self) -> QueryResult<()> {
        on!(self, c => manager::begin(c))
    }

    pub(super) fn commit(&mut self) -> QueryResult<()> {
        on!(self, c => manager::commit(c))
    }

    pub(super) fn rollback(&mut self) -> QueryResult<()> {
        on!(self, c => manager::rollback(c))
    }

    /// Runs `work` in a transaction, or in a savepoint inside of one.
    pub(super) fn transaction<T>(
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

/// By hand, as Diesel's own `transaction` takes no enum of connections.
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
