//! The handle on a database: [`Database::read`] and [`Database::write`].

use std::path::PathBuf;
use std::sync::Arc;

use diesel::prelude::QueryResult;

use super::connection::Connection;
use super::error::{DatabaseError, OpenError};
use super::migrations::{self, MigrateError};
use super::postgres::{self, Postgres};
use super::sqlite::{Durability, Sqlite};
use super::url::DatabaseUrl;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    pub(super) backend: Backend,
    url: DatabaseUrl,
}

#[derive(Clone)]
pub(super) enum Backend {
    Sqlite(Arc<Sqlite>),
    Postgres(Postgres),
}

impl Database {
    /// Connects, and creates the file of a SQLite database that is not there.
    pub fn open(url: &DatabaseUrl, pool_size: u32) -> Result<Self, OpenError> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => Backend::Sqlite(Arc::new(Sqlite::open(path)?)),
            DatabaseUrl::Postgres(text) => Backend::Postgres(Postgres::open(url, text, pool_size)?),
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

    /// Runs a read; `work` must not write, and may run twice.
    ///
    /// On SQLite it runs at once, on the calling thread: look-ups by key only.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(work),
            Backend::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// The same for a read that takes its time: never on the calling thread.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => {
                let sqlite = Arc::clone(sqlite);
                let read = tokio::task::spawn_blocking(move || sqlite.read(work));
                read.await.unwrap_or(Err(DatabaseError::NoAnswer))
            }
            Backend::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Runs a write in one transaction and answers when it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Synced, work).await,
            Backend::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// The same for a write that no answer reports: a loss of power right after it may
    /// undo it, a kill does not. On PostgreSQL it is like any other write: to relax it
    /// would take another statement.
    pub async fn write_unsynced<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Durability::Unsynced, work).await,
            Backend::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// Runs a write that deletes expired rows; `None` if another process does so now.
    pub async fn sweep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T> + Send + 'static,
    ) -> Result<Option<T>, DatabaseError> {
        self.write(|c| match c {
            // One writer at a time is lock enough.
            Connection::Sqlite(_) => work(c).map(Some),
            Connection::Postgres(connection) => {
                let is_ours = postgres::try_lock(connection)?;
                is_ours.then(|| work(c)).transpose()
            }
        })
        .await
    }

    /// Applies the pending migrations; other processes wait. Without `makes_djangos`, it
    /// only makes tables that Django does not know.
    pub fn migrate(url: &DatabaseUrl, makes_djangos: bool) -> Result<Vec<String>, MigrateError> {
        migrations::run(url, makes_djangos)
    }
}
