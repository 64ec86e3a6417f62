//! The rules of logging in and out. No HTTP here, and no SQL.
//!
//! [`Auth`] is a set of services. Only [`login`], [`logout`], [`sweeps`], [`seal`] and
//! [`survey`] cross them.

pub mod audit;
pub mod client;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod error;
pub mod keyring;
pub mod login;
pub mod logout;
pub mod passwords;
pub mod seal;
pub mod sessions;
pub mod survey;
pub mod sweeps;
pub mod throttle;
pub mod tokens;
pub mod users;

pub use self::client::{Client, Device};
pub use self::clock::Clock;
pub use self::config::Config;
pub use self::credentials::{Credentials, LoginWith};
pub use self::error::AuthError;
pub use self::keyring::{SessionKey, Storage, Token};

use self::audit::Audit;
use self::keyring::Keyring;
use self::passwords::Passwords;
use self::sessions::Sessions;
use self::throttle::Throttle;
use self::tokens::Tokens;
use self::users::Users;
use crate::db::Database;
use crate::models::UserTable;

/// Who may log in, who is logged in, and how that ends; cheap to clone.
#[derive(Clone)]
pub struct Auth {
    /// Users and their names.
    pub users: Users,
    /// Sessions, by the key in the cookie.
    pub sessions: Sessions,
    /// The one API token of each user.
    pub tokens: Tokens,
    /// Checking and hashing passwords.
    pub passwords: Passwords,
    /// The limits on failed logins.
    pub throttle: Throttle,
    /// The audit log.
    pub audit: Audit,
    /// What people log in with.
    pub login_with: LoginWith,
    database: Database,
    table: UserTable,
    clock: Clock,
}

impl Auth {
    /// Starts the hashing threads.
    pub fn new(
        config: Config,
        database: Database,
        table: UserTable,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let keyring = Keyring::new(config.storage, &config.secret_keys);
        let audit = Audit::new(database.clone(), clock.clone(), config.event_age);
        Ok(Self {
            users: Users::new(
                database.clone(),
                table.clone(),
                audit.clone(),
                clock.clone(),
            ),
            sessions: Sessions::new(
                &config,
                database.clone(),
                table.clone(),
                keyring.clone(),
                clock.clone(),
            ),
            tokens: Tokens::new(
                database.clone(),
                &table,
                audit.clone(),
                keyring,
                clock.clone(),
            ),
            passwords: Passwords::new(&config, database.clone(), table.clone())?,
            throttle: Throttle::new(
                &config,
                database.clone(),
                table.clone(),
                audit.clone(),
                clock.clone(),
            ),
            audit,
            login_with: config.login_with,
            database,
            table,
            clock,
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), AuthError> {
        let table = self.table.clone();
        let read = self
            .database
            .read(move |c| table.find_by_username(c, "").map(drop));
        Ok(read.await?)
    }
}
