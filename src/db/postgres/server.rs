//! Connections to PostgreSQL: their limits and settings, and when one is used again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{CacheSize, Connection as _, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::prelude::{ConnectionResult, QueryResult};
use diesel::r2d2::{Error, ManageConnection, R2D2Connection};
use diesel::result::{DatabaseErrorKind, Error as QueryError};

use super::health::Health;

/// The schema's columns are `Timestamp`, which fits `timestamptz` only while the
/// session is in UTC.
const SETTINGS: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '10s'";

/// Frequent queries use an index: one plan serves all calls, and to make one costs more
/// than the look-up. Not every engine that speaks PostgreSQL's protocol has these.
const TUNING: &str = "SET plan_cache_mode = force_generic_plan; SET random_page_cost = 1.1";

/// A read that has waited so long for a lock is not tried again: a statement may take 5 s,
/// and a job not much more.
const AGAIN_WITHIN: Duration = Duration::from_secs(4);

/// Where PostgreSQL is.
pub struct Server {
    url: String,
}

impl Server {
    /// The server at that URL.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
        }
    }

    /// A new connection, without our settings.
    pub fn connect(&self) -> Result<PgConnection, Error> {
        Ok(connect(&self.url)?)
    }

    /// Makes our settings there.
    pub fn prepare(&self, connection: &mut PgConnection) -> Result<(), Error> {
        connection.batch_execute(SETTINGS)?;
        if let Err(error) = connection.batch_execute(TUNING) {
            tracing::debug!(%error, "the database makes its own plans");
        }
        Ok(())
    }
}

/// A new connection, with libpq's limits.
pub fn connect(url: &str) -> ConnectionResult<PgConnection> {
    PgConnection::establish(&with_limits(url))
}

/// Makes connections for a pool, and says which of them to use again.
pub struct Manager {
    pub server: Arc<Server>,
    pub health: Arc<Health>,
}

/// A connection of a pool.
pub struct Session {
    connection: PgConnection,
    is_stale: bool,
}

impl Session {
    /// Runs `work` there.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        let result = work(&mut self.connection);
        self.noted(result)
    }

    /// Runs `work` there. Where PostgreSQL refuses it, statements are prepared anew and
    /// it runs once more: after a migration of a column's type "cached plan must not
    /// change result type" is the answer to each that was prepared before. That text is
    /// in the server's language, and Diesel keeps the code to itself.
    pub fn read<T>(
        &mut self,
        work: impl Fn(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        let begun = Instant::now();
        let result = work(&mut self.connection);
        let may_be_stale = matches!(
            &result,
            Err(QueryError::DatabaseError(DatabaseErrorKind::Unknown, _))
        );
        if may_be_stale && begun.elapsed() < AGAIN_WITHIN && self.forget_statements().is_ok() {
            return self.write(work);
        }
        self.noted(result)
    }

    fn forget_statements(&mut self) -> QueryResult<()> {
        for size in [CacheSize::Disabled, CacheSize::Unbounded] {
            self.connection.set_prepared_statement_cache_size(size);
        }
        self.connection.batch_execute("DEALLOCATE ALL")
    }

    /// A server that is demoted takes no writes: a connection that refuses something is
    /// not used again.
    fn noted<T>(&mut self, result: QueryResult<T>) -> QueryResult<T> {
        if let Err(QueryError::DatabaseError(kind, _)) = &result {
            self.is_stale |= !matches!(kind, DatabaseErrorKind::UniqueViolation);
        }
        result
    }
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = Error;

    fn connect(&self) -> Result<Session, Error> {
        let _running = self.health.begin();
        let made = self.server.connect().and_then(|mut connection| {
            self.server.prepare(&mut connection)?;
            Ok(Session {
                connection,
                is_stale: false,
            })
        });
        self.health.set_down(made.as_ref().err().map(one_line));
        made
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), Error> {
        Ok(session.connection.ping()?)
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.is_stale || std::thread::panicking() || session.connection.is_broken()
    }
}

pub fn one_line(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Adds libpq's limits, unless the URL sets them: a server that vanishes must not hold
/// a connection for the kernel's two hours.
fn with_limits(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "1"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "2"),
        ("tcp_user_timeout", "5000"),
        ("application_name", "portcullis"),
        // Not a replica, which lags behind and would accept ended sessions.
        ("target_session_attrs", "read-write"),
    ] {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
    }
    url
}
