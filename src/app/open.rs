//! Opening the database: what is in it decides what the settings leave open.

use std::time::Duration;

use diesel::prelude::QueryResult;

use super::error::StartError;
use crate::auth::passwords::{Stored, pool};
use crate::auth::{Auth, Clock, Config};
use crate::db::{Connection, Database, inspect, look};
use crate::models::{Requirements, SchemaError, UserTable};
use crate::settings::Settings;

/// How long a hashing thread keeps its memory when no login comes.
const HASHING_IDLE: Duration = Duration::from_secs(10);
/// Password columns that are looked at, from either end of the table.
const SAMPLE: i64 = 500;

/// A database that can be used.
pub struct Opened {
    /// The database.
    pub database: Database,
    /// Its users.
    pub users: UserTable,
    /// Their passwords.
    pub passwords: Stored,
}

impl Opened {
    /// The rules on it.
    pub fn auth(self, settings: &Settings, clock: Clock) -> Result<Auth, StartError> {
        let hashing = &settings.hashing;
        let config = Config {
            secret_keys: settings.secret_keys.clone(),
            storage: settings.auth.storage,
            login_with: settings.database.login_with,
            hasher: hashing
                .hasher(&self.passwords)
                .map_err(StartError::Hashing)?,
            upgrades_hashes: hashing.upgrades(&self.passwords),
            hash_limits: pool::Limits {
                threads: settings.auth.hash_threads.get(),
                queue: settings.auth.hash_queue.get(),
                nice: settings.auth.hash_nice,
                idle: HASHING_IDLE,
            },
            backends: settings.auth.backends.clone(),
            session_age: settings.auth.session_age,
            session_idle: settings.auth.session_idle,
            throttle: settings.auth.throttle,
            event_age: settings.auth.event_age,
        };
        Ok(Auth::new(config, self.database, self.users, clock)?)
    }
}

/// The user table and its passwords, if they can be used.
pub fn find(
    conn: &mut Connection<'_>,
    requirements: &Requirements,
) -> QueryResult<Result<(UserTable, Stored), SchemaError>> {
    let users = match requirements.find_users(conn)? {
        Ok(users) => users,
        Err(error) => return Ok(Err(error)),
    };
    let passwords = Stored {
        is_djangos: inspect::has_django(conn)?,
        sample: users.find_some_passwords(conn, SAMPLE)?,
    };
    Ok(Ok((users, passwords)))
}

/// Opens the database of these settings, migrated.
pub fn open(settings: &Settings) -> Result<Opened, StartError> {
    for migration in migrate(settings)? {
        tracing::info!(%migration, "migrated the database");
    }
    let url = &settings.database.url;
    let requirements = settings.database.requirements();
    let found = look(url, |c| find(c, &requirements))?;
    let (users, passwords) = found.unwrap_or_else(|| Err(requirements.no_user_table()))?;
    let pool = u32::try_from(settings.database.pool.get()).unwrap_or(u32::MAX);
    Ok(Opened {
        database: Database::open(url, pool)?,
        users,
        passwords,
    })
}

/// Runs the pending migrations, unless the database is not the one that was meant: then
/// nothing is made in it.
pub fn migrate(settings: &Settings) -> Result<Vec<String>, StartError> {
    let url = &settings.database.url;
    let requirements = settings.database.requirements();
    let makes_djangos = match look(url, |c| requirements.before_migrations(c))? {
        Some(makes_djangos) => makes_djangos?,
        None if requirements.users.is_ours() => true,
        None => return Err(requirements.no_user_table().into()),
    };
    if makes_djangos {
        // Nothing in the database will decide it, so it is wrong already.
        let hasher = settings.hashing.hasher(&Stored::default());
        hasher.map_err(StartError::Hashing)?;
    }
    Ok(Database::migrate(url, makes_djangos)?)
}
