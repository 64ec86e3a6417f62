//! The embedded migrations: the same files that the `diesel` command line runs.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::inspect;
use super::look::look;
use super::postgres;
use super::url::DatabaseUrl;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgresql");

/// Those that make Django's tables where there are none.
const DJANGOS: [&str; 3] = ["20261123000001", "20261123000002", "20261123000003"];

/// The arbitrary number of the advisory lock under which one process migrates.
const LOCK: &str = "5077438157";

/// From this number on a migration removes what the version before needs. It stands for
/// the time of day, and no day has such a time.
const TAKES_AWAY: u32 = 900_000;

/// Why the database could not be brought up to date; one line.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer portcullis has taken away what this one needs.
    #[error(
        "{url}: the database is from a newer portcullis (its migration {version} takes away what this one needs); run that version, or restore a backup"
    )]
    FromTheFuture {
        /// Where.
        url: DatabaseUrl,
        /// The first version that this binary does not know.
        version: String,
    },
    /// A migration failed, and was rolled back.
    #[error("{url}: cannot migrate the database: {reason}")]
    Failed {
        /// Where.
        url: DatabaseUrl,
        /// What the database said.
        reason: String,
    },
}

/// Applies those that are pending; of Django's tables it makes none unless
/// `makes_djangos`.
pub(super) fn run(url: &DatabaseUrl, makes_djangos: bool) -> Result<Vec<String>, MigrateError> {
    if is_up_to_date(url, makes_djangos) {
        return Ok(Vec::new());
    }
    match url {
        DatabaseUrl::Sqlite(path) => {
            create_private(path).map_err(|error| failed(url, error))?;
            let mut c = SqliteConnection::establish(&path.to_string_lossy())
                .map_err(|error| failed(url, error))?;
            // One BEGIN IMMEDIATE around all of them is the lock for other processes.
            c.batch_execute("PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON;")
                .map_err(|error| failed(url, error))?;
            c.immediate_transaction(|c| {
                pending(c, SQLITE, url, makes_djangos).map_err(Wrapped::Ours)
            })
            .map_err(|error| match error {
                Wrapped::Ours(error) => error,
                Wrapped::Diesel(error) => failed(url, error),
            })
        }
        DatabaseUrl::Postgres(text) => {
            let migrated = postgres::apart(text, |c| {
                c.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))
                    .map_err(|error| failed(url, error))?;
                // The lock ends with the connection.
                pending(c, POSTGRES, url, makes_djangos)
            });
            migrated.map_err(|error| failed(url, error))?
        }
    }
}

/// Whether there is nothing to do, and nothing to say. Diesel's harness would make its
/// list of migrations to find that out, which a role may not that only reads and writes.
fn is_up_to_date(url: &DatabaseUrl, makes_djangos: bool) -> bool {
    let versions = "SELECT version AS name FROM __diesel_schema_migrations ORDER BY version";
    let Ok(Some(mut applied)) = look(url, |c| inspect::texts(c, versions)) else {
        return false;
    };
    let known = match url {
        DatabaseUrl::Sqlite(_) => versions_of::<diesel::sqlite::Sqlite>(&SQLITE),
        DatabaseUrl::Postgres(_) => versions_of::<diesel::pg::Pg>(&POSTGRES),
    };
    let is_djangos = |version: &String| DJANGOS.contains(&version.as_str());
    if !makes_djangos {
        applied.retain(|version| !is_djangos(version));
    }
    let wanted = known
        .into_iter()
        .filter(|version| makes_djangos || !is_djangos(version));
    wanted.eq(applied)
}

/// In order.
fn versions_of<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Vec<String> {
    let known = MigrationSource::<DB>::migrations(source).unwrap_or_default();
    let version = |migration: Box<dyn Migration<DB>>| migration.name().version().to_string();
    let mut versions: Vec<String> = known.into_iter().map(version).collect();
    versions.sort();
    versions
}

fn failed(url: &DatabaseUrl, reason: impl std::fmt::Display) -> MigrateError {
    MigrateError::Failed {
        url: url.clone(),
        reason: reason.to_string().trim().replace('\n', " "),
    }
}

/// Makes the file of a new database, readable by its owner only. SQLite gives the
/// files beside it the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn pending<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
    url: &DatabaseUrl,
    makes_djangos: bool,
) -> Result<Vec<String>, MigrateError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| failed(url, error);
    let known = MigrationSource::<DB>::migrations(&source).map_err(failed)?;
    let applied = connection.applied_migrations().map_err(failed)?;
    let is_known = |version: &MigrationVersion<'_>| {
        let mut known = known.iter();
        known.any(|migration| migration.name().version() == *version)
    };
    for version in applied.iter().filter(|version| !is_known(version)) {
        let version = version.to_string();
        if takes_away(&version) {
            let url = url.clone();
            return Err(MigrateError::FromTheFuture { url, version });
        }
        tracing::warn!(version, "a newer portcullis has added to the database");
    }
    let mut done = Vec::new();
    for migration in &known {
        let version = migration.name().version();
        let is_djangos = DJANGOS.contains(&version.to_string().as_str());
        if !applied.contains(&version) && (makes_djangos || !is_djangos) {
            let applied = connection.run_migration(migration).map_err(failed)?;
            done.push(applied.to_string());
        }
    }
    Ok(done)
}

/// Whether a migration that this version does not know removes what it needs. During
/// an upgrade older instances start beside newer ones.
fn takes_away(version: &str) -> bool {
    let at = version.len().checked_sub(6);
    let digits = at.and_then(|at| version.get(at..));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.is_none_or(|number: u32| number >= TAKES_AWAY)
}

/// Lets a [`MigrateError`] travel through Diesel's transaction.
enum Wrapped {
    Ours(MigrateError),
    Diesel(diesel::result::Error),
}

impl From<diesel::result::Error> for Wrapped {
    fn from(error: diesel::result::Error) -> Self {
        Self::Diesel(error)
    }
}
