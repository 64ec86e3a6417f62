//! A [`Generation`]: a pool of connections and threads, to be abandoned as a whole.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::prelude::QueryResult;
use diesel::r2d2::{Pool, PooledConnection};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::health::{Health, Running};
use super::server::{Manager, Server, Session};
use crate::db::connection::Connection;
use crate::db::error::DatabaseError;

/// Longest wait for a free connection.
pub const POOL_WAIT: Duration = Duration::from_secs(3);
/// How often a wait for one checks that the server is not down.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// r2d2 tries to connect again after half of this, at the latest.
const RETRY: Duration = Duration::from_secs(1);

/// As many connections, threads to use them, and permits to do so.
pub struct Generation {
    pool: Pool<Manager>,
    threads: Threads,
    permits: Arc<Semaphore>,
    health: Arc<Health>,
}

impl Generation {
    /// With connections that are made in the background.
    pub fn new(server: &Arc<Server>, size: u32) -> io::Result<Self> {
        let health = Arc::<Health>::default();
        let manager = Manager {
            server: Arc::clone(server),
            health: Arc::clone(&health),
        };
        let count = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Self {
            threads: Threads::new(count)?,
            permits: Arc::new(Semaphore::new(count)),
            pool: Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .connection_timeout(RETRY)
                .build_unchecked(manager),
            health,
        })
    }

    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Whether all connections are in use.
    pub fn is_full(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// A connection and a thread to use it; `None` once this generation is closed.
    pub async fn lease(self: Arc<Self>) -> Option<Lease> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(Lease {
            connection: None,
            generation: self,
            _permit: permit,
        })
    }

    /// Gives no more leases, and ends all waits for one.
    pub fn close(&self) {
        self.permits.close();
    }

    /// Waits on this thread for a connection, unless the server is known to be down.
    fn connection(&self) -> Result<PooledConnection<Manager>, DatabaseError> {
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

    /// There is no connection, and the last try to make one failed.
    fn why_down(&self) -> Option<String> {
        let reason = self.health.down()?;
        (self.pool.state().connections == 0).then_some(reason)
    }
}

/// The right to use one connection at a time, on one thread.
pub struct Lease {
    // Dropped before the permit: whoever gets that finds it idle.
    connection: Option<PooledConnection<Manager>>,
    generation: Arc<Generation>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Where to block.
    pub fn threads(&self) -> Handle {
        self.generation.threads.handle.clone()
    }

    /// A job begins that will use it.
    pub fn begin(&self) -> Running {
        self.generation.health.begin()
    }

    /// Runs `work` on the connection, which stays here if nothing goes wrong.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.run(|session| session.write(|c| work(&mut Connection::Postgres(c))))
    }

    /// The same for a read, which may run twice: [`Session::read`].
    pub fn read<T>(
        &mut self,
        work: impl Fn(&mut Connection<'_>) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        self.run(|session| session.read(|c| work(&mut Connection::Postgres(c))))
    }

    fn run<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> QueryResult<T>,
    ) -> Result<T, DatabaseError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.generation.connection()?),
        };
        let result = work(connection);
        if result.is_err() {
            self.connection = None;
        }
        Ok(result?)
    }
}

/// The blocking threads of a runtime of their own, whose end waits for none that hangs.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn new(count: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(count)
            .thread_name("postgres")
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
