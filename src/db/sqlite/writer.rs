//! The one thread that writes: it takes what waits, commits once, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::result::{ConnectionResult, Error, QueryResult};
use diesel::sqlite::SqliteConnection;

use super::connect::{WRITER_PRAGMAS, connect};
use crate::db::connection::{Connection, LOCK_WAIT};
use crate::db::error::DatabaseError;

/// Jobs in one commit. With more, the fsync is no longer the main cost.
const GROUP: usize = 64;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::db) enum Durability {
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
pub(super) type Reply = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;

/// Does the work in a savepoint; without a connection it only gives the reply.
type Work = Box<dyn FnOnce(Option<&mut Connection<'_>>) -> Reply + Send>;

/// One queued write.
pub(super) struct Job {
    pub(super) queued: Instant,
    pub(super) durability: Durability,
    pub(super) work: Work,
}

impl Job {
    fn refuse(self, error: DatabaseError) {
        (self.work)(None)(Err(error));
    }

    /// A job that panics loses only its own savepoint and answer.
    fn run(self, connection: &mut Connection<'_>) -> Option<Reply> {
        let work = AssertUnwindSafe(|| (self.work)(Some(connection)));
        let reply = catch_unwind(work).ok();
        if reply.is_none() {
            let _ = connection.rollback();
        }
        reply
    }
}

/// The one connection that writes.
pub(super) struct Writer {
    connection: SqliteConnection,
    durability: Durability,
}

impl Writer {
    pub(super) fn connect(path: &Path) -> ConnectionResult<Self> {
        Ok(Self {
            connection: connect(path, WRITER_PRAGMAS)?,
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
        // Clients of late jobs have given up. Behind a stuck lock the queue must drain
        // instead of waiting job by job.
        let is_in_time = |job: &Job| job.queued.elapsed() < LOCK_WAIT;
        let (group, late): (Vec<_>, Vec<_>) = group.into_iter().partition(is_in_time);
        for job in late {
            job.refuse(DatabaseError::TimedOut);
        }
        let Some(durability) = group.iter().map(|job| job.durability).max() else {
            return;
        };
        if let Err(error) = self.begin(durability) {
            for job in group {
                job.refuse(refused(&error));
            }
            return;
        }
        let mut connection = Connection::Sqlite(&mut self.connection);
        let mut replies = Vec::with_capacity(group.len());
        for job in group {
            replies.extend(job.run(&mut connection));
        }
        let committed = connection.commit();
        if committed.is_err() {
            let _ = connection.rollback();
        }
        for reply in replies {
            reply(committed.as_ref().copied().map_err(refused));
        }
    }
}

/// The life of the thread.
pub(super) fn write_jobs(
    mut writer: Writer,
    jobs: &Receiver<Job>,
    connect: impl Fn() -> ConnectionResult<Writer>,
) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        writer.write_group(group);
        // After a rollback that failed (a full disk, say) Diesel refuses everything.
        if AnsiTransactionManager::is_broken_transaction_manager(&mut writer.connection) {
            match connect() {
                Ok(new) => writer = new,
                Err(error) => tracing::error!(%error, "the database cannot be opened again"),
            }
        }
    }
}

/// The error of a whole group, for one of its jobs.
fn refused(error: &Error) -> DatabaseError {
    DatabaseError::Query(Error::QueryBuilderError(error.to_string().into()))
}
