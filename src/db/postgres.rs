//! PostgreSQL: an r2d2 pool, used from blocking threads, and the limits on every
//! wait for it.

mod watch;

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::prelude::{QueryResult, RunQueryDsl};
use diesel::r2d2::{Error, ManageConnection, Pool, PooledConnection, R2D2Connection};

use self::watch::{Line, Statements, Watch};
use super::connection::Connection;
use super::error::{DatabaseError, OpenError};
use super::setup::Setup;
use super::url::DatabaseUrl;

/// Longest wait for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(3);
/// Whoever waits for one finds out by then that the server is down.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// r2d2 tries to connect again after half of this, at the latest: PostgreSQL is
/// used again soon after it is back.
const RETRY: Duration = Duration::from_secs(1);
/// For a connection to be made, or an idle one to show that it is alive.
const HELLO_LIMIT: Duration = Duration::from_secs(2);
/// For a statement: a little more than PostgreSQL's own limit, which says why.
const STATEMENT_LIMIT: Duration = Duration::from_secs(6);
/// For whoever asks, whatever the reason: after the waits above, or behind
/// others who wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The schema's columns are `Timestamp`, which fits `timestamptz` only while the
/// session is in UTC.
const SETTINGS: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '10s'";

/// All that is asked often goes by an index: one plan serves every time, and to make
/// another for each call would cost more than the look-up. Not every engine that
/// speaks PostgreSQL's language has such settings.
const TUNING: &str = "SET plan_cache_mode = force_generic_plan; SET random_page_cost = 1.1";

/// A connection that goes back to the pool when it is dropped.
pub(super) type Pooled = PooledConnection<Manager>;

/// A handle on the pool; cheap to clone.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool<Manager>,
    down: Down,
}

/// Why the last try to connect failed; nothing if it did not.
type Down = Arc<Mutex<Option<String>>>;

/// Makes connections for the pool, and tells whether they are alive.
pub(super) struct Manager {
    url: String,
    setup: Option<String>,
    watch: Watch,
    down: Down,
}

/// A connection whose waits are limited.
pub(super) struct Watched {
    connection: PgConnection,
    line: Arc<Line>,
}

impl Deref for Watched {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Manager {
    fn new(url: &str, setup: &Setup) -> io::Result<Self> {
        Ok(Self {
            url: with_limits(url),
            setup: setup.postgres.clone(),
            watch: Watch::start()?,
            down: Down::default(),
        })
    }

    fn prepare(&self, connection: &mut Watched) -> Result<(), Error> {
        connection.batch_execute(SETTINGS)?;
        if let Err(error) = connection.batch_execute(TUNING) {
            tracing::debug!(%error, "the database makes its own plans");
        }
        if let Some(statements) = &self.setup {
            connection.batch_execute(statements)?;
        }
        connection.line.set_limit(STATEMENT_LIMIT);
        connection.line.forget_errors();
        Ok(())
    }
}

/// A connection to a server with those limits, as it comes.
fn connect(url: &str, watch: &Watch) -> Result<Watched, Error> {
    let line = watch.line(HELLO_LIMIT);
    // libpq takes the last one of a name.
    let url = format!("{url}&tcp_user_timeout={}", line.mark());
    line.begin();
    let connection = PgConnection::establish(&url);
    line.end();
    let mut connection = connection?;
    connection.set_instrumentation(Statements(Arc::clone(&line)));
    Ok(Watched { connection, line })
}

impl ManageConnection for Manager {
    type Connection = Watched;
    type Error = Error;

    fn connect(&self) -> Result<Watched, Error> {
        let made = connect(&self.url, &self.watch).and_then(|mut connection| {
            self.prepare(&mut connection)?;
            Ok(connection)
        });
        let problem = made.as_ref().err().map(one_line);
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        made
    }

    fn is_valid(&self, connection: &mut Watched) -> Result<(), Error> {
        connection.line.set_limit(HELLO_LIMIT);
        let answer = connection.ping();
        connection.line.set_limit(STATEMENT_LIMIT);
        Ok(answer?)
    }

    fn has_broken(&self, connection: &mut Watched) -> bool {
        // What is prepared there may no longer fit: when somebody's migration has
        // changed a column's type, PostgreSQL refuses it for as long as the
        // connection lasts.
        std::thread::panicking() || connection.is_broken() || connection.line.has_erred()
    }
}

impl Postgres {
    pub(super) fn open(
        url: &DatabaseUrl,
        text: &str,
        setup: &Setup,
        size: u32,
    ) -> Result<Self, OpenError> {
        let open_error = |error: Error| OpenError::Connect {
            url: url.to_string(),
            reason: one_line(&error),
        };
        let manager = Manager::new(text, setup)?;
        // One connection by hand first: the pool would retry for seconds, and
        // then not say why.
        let mut first = connect(&manager.url, &manager.watch).map_err(open_error)?;
        setup.check(&mut *first, &url.to_string())?;
        manager.prepare(&mut first).map_err(open_error)?;
        let down = Arc::clone(&manager.down);
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .connection_timeout(RETRY)
            .build_unchecked(manager);
        Ok(Self { pool, down })
    }

    /// A connection from the pool, on a thread that may wait for it; but not
    /// for a server that is known to be down.
    pub(super) fn connection(&self) -> Result<Pooled, DatabaseError> {
        if let Some(idle) = self.pool.try_get() {
            return Ok(idle);
        }
        let end = Instant::now() + POOL_WAIT;
        loop {
            if let Some(reason) = self.why_down() {
                return Err(DatabaseError::Down(reason));
            }
            match self.pool.get_timeout(LOOK_AGAIN) {
                Ok(pooled) => return Ok(pooled),
                Err(error) if Instant::now() >= end => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    /// There is no connection, and the last attempt to connect failed.
    fn why_down(&self) -> Option<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = down.clone()?;
        (self.pool.state().connections == 0).then_some(reason)
    }

    /// Runs `work` on a pooled connection, in a transaction if it `writes`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let postgres = self.clone();
        let job = tokio::task::spawn_blocking(move || {
            let mut pooled = postgres.connection()?;
            let mut connection = Connection::Postgres(&mut pooled);
            Ok(if writes {
                connection.transaction(work)
            } else {
                work(&mut connection)
            }?)
        });
        // What has not begun by then never will.
        let queued = job.abort_handle();
        let answer = in_time(job).await.inspect_err(|_| queued.abort())?;
        answer.unwrap_or(Err(DatabaseError::NoAnswer))
    }
}

/// The answer, or that it takes too long.
pub(super) async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, DatabaseError> {
    let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
    answer.map_err(|_| DatabaseError::TimedOut)
}

/// Runs `work` on a connection of its own, where a statement may take `limit`.
pub(super) fn apart<T>(
    url: &str,
    limit: Duration,
    work: impl FnOnce(&mut PgConnection) -> T,
) -> Result<T, Box<dyn std::error::Error>> {
    let watch = Watch::start()?;
    let mut connection = connect(&with_limits(url), &watch)?;
    connection.line.set_limit(limit);
    Ok(work(&mut connection))
}

fn one_line(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
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
/// without a word must not hold a connection for the kernel's two hours. (The
/// `tcp_user_timeout` comes with each connection.)
fn with_limits(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "1"),
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
