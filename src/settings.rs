//! The settings: where they come from, what they may be, and their defaults.
//!
//! Order: command-line flag, then environment, then `portcullis.toml`, then the
//! default. Each setting is one entry in its group's file, such as `settings/auth.rs`,
//! which says how it is read and what the flags, the README and `portcullis check` tell
//! of it. This file then works out what depends on more than one setting.

mod auth;
mod database;
mod entry;
mod http;
mod keys;
mod log;
mod parse;
mod secret;
mod server;
mod sources;
mod values;

use std::net::SocketAddr;
use std::path::Path;

use url::Url;

pub use self::auth::AuthSettings;
pub use self::database::DatabaseSettings;
pub use self::entry::Key;
pub use self::http::HttpSettings;
pub use self::keys::KEYS;
pub use self::log::{LogFormat, LogSettings};
pub use self::secret::secret_file;
pub use self::server::ServerSettings;
pub use self::values::{SettingsError, Values};
use crate::auth::Storage;
use crate::auth::passwords::Hashing;
use crate::db::DatabaseUrl;
use django_auth::password::validation::Policy;
use django_auth::{SecretKey, SecretKeys};

/// The effective settings of one process.
pub struct Settings {
    /// Where it listens, how much it serves, how long it waits.
    pub server: ServerSettings,
    /// The database, and the table of users in it.
    pub database: DatabaseSettings,
    /// Passwords, sessions, and the limits on logging in.
    pub auth: AuthSettings,
    /// Names, the session cookie, and whom it trusts.
    pub http: HttpSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// The secret key, set or from its file, and its fallbacks.
    pub secret_keys: SecretKeys,
    /// The algorithm of new hashes, with its cost, as far as they are set.
    pub hashing: Hashing,
    /// What a new password may be.
    pub password_policy: Policy,
    listen_url: Url,
    values: Values,
}

impl Settings {
    /// Checks every value and fills in what depends on another; makes the secret key of
    /// a new SQLite database.
    pub fn new(values: Values) -> Result<Self, SettingsError> {
        Self::with_secret(values, secret::load_or_create)
    }

    /// The same, for commands that must not change anything: no secret key is written.
    pub fn for_looking(values: Values) -> Result<Self, SettingsError> {
        Self::with_secret(values, secret::load_or_invent)
    }

    fn with_secret(
        values: Values,
        from_file: fn(&Path) -> Result<String, String>,
    ) -> Result<Self, SettingsError> {
        let server = ServerSettings::read(&values)?;
        let database = DatabaseSettings::read(&values)?;
        let auth = AuthSettings::read(&values)?;
        let http = HttpSettings::read(&values)?;
        let log = LogSettings::read(&values)?;
        check_together(&server, &database, &http)
            .map_err(|(key, problem)| values.error(key, problem))?;
        let is_shared = auth.storage == Storage::Django;
        Ok(Self {
            listen_url: server
                .listen_url()
                .map_err(|problem| values.error("PORTCULLIS_BIND", problem))?,
            hashing: Hashing::new(
                auth.password_hasher,
                auth.password_cost.as_deref(),
                is_shared,
            )
            .map_err(|problem| values.error("PORTCULLIS_PASSWORD_COST", problem))?,
            password_policy: password_policy(&auth, &server),
            // Last: it may write a file.
            secret_keys: secret_keys(&auth, &database.url, from_file)
                .map_err(|problem| SettingsError::new("PORTCULLIS_SECRET_KEY", problem))?,
            server,
            database,
            auth,
            http,
            log,
            values,
        })
    }

    /// What browsers see, when the server listens on `bound`.
    pub fn public_url(&self, bound: SocketAddr) -> Url {
        let mut url = match &self.server.public_url {
            Some(url) => return url.clone(),
            None => self.listen_url.clone(),
        };
        // The system may have chosen the port. An http URL takes any.
        let _ = url.set_port(Some(bound.port()));
        url
    }

    /// The value that a command-line flag gave to a setting.
    pub fn flag(&self, name: &str) -> Option<&str> {
        let is_flag = self.values.origin(name) == sources::FLAG;
        self.values.get(name).filter(|_| is_flag)
    }

    /// Whether `portcullis.toml` is what decides this setting.
    pub fn is_from_file(&self, name: &str) -> bool {
        self.values.origin(name) == sources::FILE
    }

    /// Each key with its effective value (secrets masked) and where it is from.
    pub fn describe(&self) -> Vec<(&'static str, String, &'static str)> {
        let shown = |key: &Key| match (key.text(&self.values), key.name) {
            ("", _) => String::new(),
            (_, _) if key.secret => "********".to_owned(),
            (_, "DATABASE_URL") => self.database.url.to_string(),
            (text, _) => text.to_owned(),
        };
        KEYS.iter()
            .map(|key| (key.name, shown(key), self.values.origin(key.name)))
            .collect()
    }
}

/// Refuses values that do not go together, with the key and what is wrong.
fn check_together(
    server: &ServerSettings,
    database: &DatabaseSettings,
    http: &HttpSettings,
) -> Result<(), (&'static str, String)> {
    let is_sqlite = matches!(database.url, DatabaseUrl::Sqlite(_));
    if is_sqlite && database.user_table.has_schema() {
        let problem = "SQLite has no schemas; name the table alone";
        return Err(("PORTCULLIS_USER_TABLE", problem.to_owned()));
    }
    if http.session_cookie.starts_with("__") && !server.is_https() {
        let problem = "browsers drop such a cookie unless PORTCULLIS_PUBLIC_URL is https";
        return Err(("PORTCULLIS_SESSION_COOKIE", problem.to_owned()));
    }
    // Each worker takes an equal part of them.
    if server.max_connections < server.workers {
        let least = server.workers;
        let problem = format!("must be at least PORTCULLIS_WORKERS, which is {least}");
        return Err(("PORTCULLIS_MAX_CONNECTIONS", problem));
    }
    Ok(())
}

/// The secret key that was set, or the one in the file beside a SQLite database.
fn secret_keys(
    auth: &AuthSettings,
    database: &DatabaseUrl,
    from_file: fn(&Path) -> Result<String, String>,
) -> Result<SecretKeys, String> {
    let current = match (&auth.secret_key, database) {
        (Some(key), _) => key.clone(),
        (None, DatabaseUrl::Sqlite(path)) => SecretKey::new(from_file(&secret_file(path))?),
        (None, DatabaseUrl::Postgres(_)) => {
            return Err("not set; PostgreSQL needs one, the same for every instance (50 random characters, or Django's SECRET_KEY)".to_owned());
        }
    };
    Ok(SecretKeys::new(current, auth.secret_key_fallbacks.clone()))
}

/// No password may resemble the name of the program, or of the host where people see
/// it.
fn password_policy(auth: &AuthSettings, server: &ServerSettings) -> Policy {
    let host = server.public_url.as_ref().and_then(Url::host_str);
    let names = host.into_iter().chain([env!("CARGO_PKG_NAME")]);
    Policy::new(auth.password_min, names.map(str::to_owned).collect())
}
