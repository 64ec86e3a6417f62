//! PostgreSQL: an r2d2 pool, used from blocking threads.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::{QueryResult, RunQueryDsl};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool, PooledConnection};

use super::{Connection, DatabaseError, DatabaseUrl, OpenError, UserTable};

/// Longest wait for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(3);

/// A connection that goes back to the pool when it is dropped.
pub(super) type Pooled = PooledConnection<ConnectionManager<PgConnection>>;

/// A handle on the pool; cheap to clone.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool<ConnectionManager<PgConnection>>,
}

/// The schema's columns are `Timestamp`, which fits `timestamptz` only while
/// the session is in UTC; the limits keep a stuck server from keeping clients.
#[derive(Debug)]
struct SessionSettings {
    user_table: Option<String>,
}

impl CustomizeConnection<PgConnection, Error> for SessionSettings {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), Error> {
        connection
            .batch_execute(
                // All that is asked often goes by an index: one plan serves every time,
                // and to make another for each call would cost more than the look-up.
                "SET TIME ZONE 'UTC'; SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
                 SET idle_in_transaction_session_timeout = '10s'; \
                 SET plan_cache_mode = force_generic_plan; SET random_page_cost = 1.1",
            )
            .and_then(|()| match &self.user_table {
                Some(view) => connection.batch_execute(view),
                None => Ok(()),
            })
            .map_err(Error::QueryError)
    }
}

impl Postgres {
    pub(super) fn open(
        url: &DatabaseUrl,
        text: &str,
        users: &UserTable,
        size: u32,
    ) -> Result<Self, OpenError> {
        let open_error = |reason: String| OpenError::Connect {
            url: url.to_string(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        };
        let settings = SessionSettings {
            user_table: users.postgres_setup(),
        };
        // One connection by hand first: the pool would retry for seconds, and
        // then not say why.
        let mut first = <PgConnection as diesel::Connection>::establish(&with_limits(text))
            .map_err(|error| open_error(error.to_string()))?;
        users
            .check(&mut first)
            .map_err(|missing| missing.into_open_error(users, url.to_string()))?;
        settings
            .on_acquire(&mut first)
            .map_err(|error| open_error(error.to_string()))?;
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .connection_timeout(POOL_WAIT)
            .connection_customizer(Box::new(settings))
            .build(ConnectionManager::new(with_limits(text)))
            .map_err(|error| open_error(error.to_string()))?;
        Ok(Self { pool })
    }

    /// A connection from the pool, on a thread that may wait for it.
    pub(super) fn connection(&self) -> Result<Pooled, DatabaseError> {
        Ok(self.pool.get()?)
    }

    /// Runs `work` on a pooled connection, in a transaction if it `writes`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let postgres = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut pooled = postgres.connection()?;
            let mut connection = Connection::Postgres(&mut pooled);
            Ok(if writes {
                connection.transaction(work)
            } else {
                work(&mut connection)
            }?)
        })
        .await
        .unwrap_or(Err(DatabaseError::NoAnswer))
    }
}

/// Any number that is ours alone, but for the one that migrations use.
const SWEEP_LOCK: i64 = 5_077_438_158;

diesel::define_sql_function! {
    fn pg_try_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
}

/// Takes the lock of whoever tidies up, until the transaction ends; `false` if
/// somebody else has it.
pub(super) fn try_lock(connection: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(SWEEP_LOCK)).get_result(connection)
}

/// Adds libpq's own bounds, unless the URL sets them: a server that is gone
/// without a word must not hold a connection for the kernel's two hours.
fn with_limits(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "3"),
        ("tcp_user_timeout", "5000"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_count", "2"),
        ("application_name", "portcullis"),
        // Of several hosts the one that takes writes: a replica lags behind, and
        // would let in whoever has just logged out.
        ("target_session_attrs", "read-write"),
    ] {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
    }
    url
}
