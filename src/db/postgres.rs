//! PostgreSQL: an r2d2 pool on threads of its own, and limits on every wait for it.
//!
//! libpq waits without a limit for a server that takes packets and never answers, such
//! as a frozen PostgreSQL, and nothing ends such a wait from outside. So the pool is
//! abandoned with the threads that hang, and a new [`Generation`] takes its place. The
//! old one goes when libpq returns, at the latest when the server closes its sockets.
//!
//! There are at most 1 + [`MOST_ABANDONED`] generations, each with
//! `PORTCULLIS_DATABASE_POOL` threads and connections, and r2d2's three threads, which
//! outlast it by half a minute.

pub(super) mod batches;
mod generation;
mod health;
mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::prelude::{QueryResult, RunQueryDsl};
use diesel::r2d2::Error;
use diesel::result::Error as QueryError;
use tokio::time::timeout;

use self::generation::{Generation, Lease, POOL_WAIT};
use self::health::{Health, Running};
use self::server::{Server, one_line};
use super::connection::Connection;
use super::error::{DatabaseError, OpenError};
use super::url::DatabaseUrl;

/// For a job. Longer than `LATE`, so that whoever gives up finds the job late; with
/// `POOL_WAIT` it stays below 10 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);
/// Generations that may hang beside the one in use. If none of them ends, PostgreSQL
/// may hang so many times before the program has to be restarted.
const MOST_ABANDONED: usize = 3;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub(super) struct Postgres(Arc<Shared>);

struct Shared {
    server: Arc<Server>,
    size: u32,
    state: Mutex<State>,
}

struct State {
    current: Arc<Generation>,
    /// Those of which a thread is still there.
    abandoned: Vec<Weak<Health>>,
    /// Whether the log has it that there may be no other generation.
    is_exhausted: bool,
}

impl Postgres {
    pub(super) fn open(url: &DatabaseUrl, text: &str, size: u32) -> Result<Self, OpenError> {
        let open_error = |error: Error| OpenError::Connect {
            url: url.to_string(),
            reason: one_line(&error),
        };
        let server = Arc::new(Server::new(text));
        // Not by the pool, which would retry for seconds, and then not say why.
        let mut first = server.connect().map_err(open_error)?;
        server.prepare(&mut first).map_err(open_error)?;
        let state = State {
            current: Arc::new(Generation::new(&server, size)?),
            abandoned: Vec::new(),
            is_exhausted: false,
        };
        Ok(Self(Arc::new(Shared {
            server,
            size,
            state: Mutex::new(state),
        })))
    }

    /// Runs `work` on a pooled connection, twice if a migration has come between.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.run(move |lease, _| lease.read(work)).await
    }

    /// Runs `work` on a pooled connection, in a transaction.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let write = move |lease: &mut Lease, running: &Running| {
            lease.write(|c| {
                c.transaction(|c| {
                    let value = work(c)?;
                    // The caller was told that it failed: a frozen server that goes on
                    // must not do it hours later.
                    if running.is_late() {
                        return Err(QueryError::RollbackTransaction);
                    }
                    Ok(value)
                })
            })
        };
        self.run(write).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Lease, &Running) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let mut lease = self.lease().await?;
        let (threads, running) = (lease.threads(), lease.begin());
        let job = threads.spawn_blocking(move || job(&mut lease, &running));
        self.in_time(job).await
    }

    /// A connection and a thread, as soon as both are free.
    async fn lease(&self) -> Result<Lease, DatabaseError> {
        let lease = timeout(POOL_WAIT, async {
            loop {
                let current = Arc::clone(&self.lock().current);
                if current.is_full() && !self.replace_late() {
                    return Err(DatabaseError::TimedOut);
                }
                if let Some(lease) = current.lease().await {
                    return Ok(lease);
                }
            }
        });
        let lease = lease.await.unwrap_or(Err(DatabaseError::TimedOut));
        if lease.is_err() {
            self.replace_late();
        }
        lease
    }

    /// What a job comes to, unless that takes too long.
    async fn in_time<T, E>(
        &self,
        answer: impl Future<Output = Result<Result<T, DatabaseError>, E>>,
    ) -> Result<T, DatabaseError> {
        let answer = match timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer.unwrap_or(Err(DatabaseError::NoAnswer)),
            Err(_) => Err(DatabaseError::TimedOut),
        };
        if answer.is_err() {
            self.replace_late();
        }
        answer
    }

    /// Replaces a generation with a late job; `false` if there may be no other.
    fn replace_late(&self) -> bool {
        let mut state = self.lock();
        if !state.current.health().is_late() {
            return true;
        }
        state.abandoned.retain(|health| health.strong_count() > 0);
        if state.abandoned.len() >= MOST_ABANDONED {
            if !std::mem::replace(&mut state.is_exhausted, true) {
                tracing::error!(
                    "PostgreSQL hangs again, and as many pools as may be still hang: unless one of them ends, restart this program"
                );
            }
            return false;
        }
        state.is_exhausted = false;
        let new = match Generation::new(&self.0.server, self.0.size) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "cannot start threads for PostgreSQL");
                return false;
            }
        };
        let late = "PostgreSQL does not answer";
        // Until the first connection is made.
        new.health().set_down(Some(late.to_owned()));
        let old = std::mem::replace(&mut state.current, Arc::new(new));
        old.close();
        state.abandoned.push(Arc::downgrade(old.health()));
        tracing::warn!(abandoned = state.abandoned.len(), "{late}: a new pool");
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on a connection of its own, which has libpq's limits only.
pub(super) fn apart<T>(
    url: &str,
    work: impl FnOnce(&mut PgConnection) -> T,
) -> Result<T, diesel::ConnectionError> {
    Ok(work(&mut server::connect(url)?))
}

/// An arbitrary number, beside that of the migrations.
const SWEEP_LOCK: i64 = 5_077_438_158;

diesel::define_sql_function! {
    fn pg_try_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
}

/// Takes the lock for sweeps, until the transaction ends; `false` if it is taken.
pub(super) fn try_lock(connection: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(SWEEP_LOCK)).get_result(connection)
}
