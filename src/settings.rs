//! The settings: where they come from, what they may be, and their defaults.
//!
//! Order: command-line flag, then environment, then `portcullis.toml`, then
//! the default. All of them stand in one table, [`KEYS`], from which the
//! flags, the README's table and `portcullis check` are made.

mod host;
mod keys;
mod secret;
mod sources;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use django_auth::password::validation::Policy;
use django_auth::password::{Algorithm, Hasher};
use django_auth::secret_key::{SecretKey, SecretKeys};
use ipnet::IpNet;
use url::Url;

pub use self::host::AllowedHosts;
pub use self::keys::{KEYS, Key};
pub use self::sources::Values;
use crate::db::{DatabaseUrl, UserTable};

/// actix-http refuses more by itself.
const MOST_HEADERS: usize = 128 * 1024;
/// Of threads, connections and places: far above use, and no typing error.
const MOST_COUNT: usize = 100_000;
/// actix-server has no more.
const MOST_WORKERS: usize = 512;
/// A body is held in memory whole.
const MOST_BODY: usize = 16 * 1024 * 1024;

/// A setting that cannot be used: one line that names the key, says where it
/// was set, and what it may be.
#[derive(Debug, thiserror::Error)]
#[error("{key}{origin}: {problem}")]
pub struct SettingsError {
    key: String,
    origin: String,
    problem: String,
}

impl SettingsError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            origin: String::new(),
            problem: problem.into(),
        }
    }
}

/// How keys are kept in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As digests: nothing in the database can be used to log in.
    Sealed,
    /// In clear, as Django keeps them, to share the tables with it.
    Django,
}

/// The form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The effective settings of one process.
pub struct Settings {
    /// `DATABASE_URL`
    pub database_url: DatabaseUrl,
    /// `PORTCULLIS_DATABASE_POOL`
    pub database_pool: NonZeroUsize,
    /// `PORTCULLIS_BIND`
    pub bind: SocketAddr,
    /// `PORTCULLIS_PUBLIC_URL`; `None` follows the address that is bound.
    pub public_url: Option<Url>,
    /// `PORTCULLIS_ALLOWED_HOSTS`; empty follows the public URL.
    pub allowed_hosts: Vec<String>,
    /// `PORTCULLIS_SESSION_COOKIE`
    pub session_cookie: String,
    /// `PORTCULLIS_SECRET_KEY` and `PORTCULLIS_SECRET_KEY_FALLBACKS`
    pub secret_keys: SecretKeys,
    /// `PORTCULLIS_STORAGE`
    pub storage: Storage,
    /// `PORTCULLIS_USER_TABLE`
    pub user_table: UserTable,
    /// `PORTCULLIS_PASSWORD_HASHER` and `PORTCULLIS_PASSWORD_COST`
    pub hasher: Hasher,
    /// `PORTCULLIS_PASSWORD_MIN`, and the names that no password may be like.
    pub password_policy: Policy,
    /// Whether a login re-encodes an outdated hash.
    pub upgrades_hashes: bool,
    /// `PORTCULLIS_SESSION_AGE`
    pub session_age: Duration,
    /// `PORTCULLIS_SESSION_IDLE`
    pub session_idle: Option<Duration>,
    /// `PORTCULLIS_TRUSTED_PROXIES`
    pub trusted_proxies: Vec<IpNet>,
    /// `PORTCULLIS_CORS_ORIGINS`
    pub cors_origins: Vec<String>,
    /// `PORTCULLIS_TRUSTED_ORIGINS`
    pub trusted_origins: Vec<String>,
    /// `PORTCULLIS_THROTTLE`
    pub throttle: bool,
    /// `PORTCULLIS_EVENT_AGE`
    pub event_age: Duration,
    /// `PORTCULLIS_HASH_THREADS`
    pub hash_threads: NonZeroUsize,
    /// `PORTCULLIS_HASH_QUEUE`
    pub hash_queue: NonZeroUsize,
    /// `PORTCULLIS_HASH_NICE`
    pub hash_nice: u8,
    /// `PORTCULLIS_WORKERS`
    pub workers: NonZeroUsize,
    /// `PORTCULLIS_MAX_CONNECTIONS`
    pub max_connections: NonZeroUsize,
    /// `PORTCULLIS_KEEP_ALIVE`
    pub keep_alive: Duration,
    /// `PORTCULLIS_HEADER_TIMEOUT`
    pub header_timeout: Duration,
    /// `PORTCULLIS_REQUEST_TIMEOUT`
    pub request_timeout: Duration,
    /// `PORTCULLIS_MAX_HEADERS`
    pub max_headers: usize,
    /// `PORTCULLIS_MAX_BODY`
    pub max_body: usize,
    /// `PORTCULLIS_SHUTDOWN_DELAY`
    pub shutdown_delay: Duration,
    /// `PORTCULLIS_SHUTDOWN_TIMEOUT`
    pub shutdown_timeout: Duration,
    /// `PORTCULLIS_LOG`
    pub log: String,
    /// `PORTCULLIS_LOG_FORMAT`
    pub log_format: LogFormat,
    listen_url: Url,
    values: Values,
}

impl Settings {
    /// Checks every value and fills in what depends on another; makes the
    /// secret key of a new SQLite database.
    pub fn new(values: Values) -> Result<Self, SettingsError> {
        Self::with_secret(values, secret::load_or_create)
    }

    /// The same, for who must not change anything: no secret key is written.
    pub fn for_looking(values: Values) -> Result<Self, SettingsError> {
        Self::with_secret(values, secret::load_or_invent)
    }

    fn with_secret(
        values: Values,
        from_file: fn(&Path) -> Result<String, String>,
    ) -> Result<Self, SettingsError> {
        let database_url = values.parse("DATABASE_URL", DatabaseUrl::parse)?;
        let storage = values.one_of(
            "PORTCULLIS_STORAGE",
            &[("sealed", Storage::Sealed), ("django", Storage::Django)],
        )?;
        let public_url = values.optional("PORTCULLIS_PUBLIC_URL", parse_public_url)?;
        let is_https = public_url
            .as_ref()
            .is_some_and(|url| url.scheme() == "https");
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let bind = values.parse("PORTCULLIS_BIND", |text| {
            text.parse()
                .map_err(|_| "not an address such as 127.0.0.1:8000".to_owned())
        })?;
        let workers = values.count("PORTCULLIS_WORKERS", cores.get(), MOST_WORKERS)?;
        let hasher_is_set = values.is_set("PORTCULLIS_PASSWORD_HASHER");
        Ok(Self {
            database_pool: values.count("PORTCULLIS_DATABASE_POOL", 8, MOST_COUNT)?,
            bind,
            listen_url: listen_url(bind)
                .map_err(|problem| values.error("PORTCULLIS_BIND", problem))?,
            allowed_hosts: values.list("PORTCULLIS_ALLOWED_HOSTS", host::parse_pattern)?,
            session_cookie: values.parse("PORTCULLIS_SESSION_COOKIE", |text| {
                if text.starts_with("__") && !is_https {
                    return Err(
                        "browsers drop such a cookie unless PORTCULLIS_PUBLIC_URL is https"
                            .to_owned(),
                    );
                }
                parse_cookie_name(text)
            })?,
            secret_keys: secret_keys(&values, &database_url, from_file)?,
            storage,
            user_table: values.parse("PORTCULLIS_USER_TABLE", |text| {
                UserTable::parse(text).and_then(|table| match &database_url {
                    DatabaseUrl::Sqlite(_) if table.has_schema() => {
                        Err("SQLite has no schemas; name the table alone".to_owned())
                    }
                    _ => Ok(table),
                })
            })?,
            hasher: hasher(&values)?,
            password_policy: password_policy(&values, public_url.as_ref())?,
            public_url,
            upgrades_hashes: storage == Storage::Sealed || hasher_is_set,
            session_age: values.parse("PORTCULLIS_SESSION_AGE", parse_duration)?,
            session_idle: values.parse("PORTCULLIS_SESSION_IDLE", |text| match text {
                "off" => Ok(None),
                text => parse_duration(text).map(Some),
            })?,
            trusted_proxies: values.list("PORTCULLIS_TRUSTED_PROXIES", |text| {
                text.parse()
                    .or_else(|_| text.parse().map(|ip: std::net::IpAddr| IpNet::from(ip)))
                    .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8"))
            })?,
            cors_origins: values
                .list("PORTCULLIS_CORS_ORIGINS", |text| parse_origin(text, false))?,
            trusted_origins: values.list("PORTCULLIS_TRUSTED_ORIGINS", |text| {
                parse_origin(text, true)
            })?,
            throttle: values.one_of("PORTCULLIS_THROTTLE", &[("on", true), ("off", false)])?,
            event_age: values.parse("PORTCULLIS_EVENT_AGE", parse_duration)?,
            hash_threads: values.count("PORTCULLIS_HASH_THREADS", cores.get(), MOST_COUNT)?,
            hash_queue: values.count("PORTCULLIS_HASH_QUEUE", 64, MOST_COUNT)?,
            hash_nice: values.parse("PORTCULLIS_HASH_NICE", |text| {
                text.parse()
                    .ok()
                    .filter(|nice| (0..=19).contains(nice))
                    .ok_or_else(|| format!("`{text}` is not a whole number from 0 to 19"))
            })?,
            workers,
            max_connections: max_connections(&values, workers)?,
            keep_alive: values.parse("PORTCULLIS_KEEP_ALIVE", parse_duration)?,
            header_timeout: values.parse("PORTCULLIS_HEADER_TIMEOUT", parse_duration)?,
            request_timeout: values.parse("PORTCULLIS_REQUEST_TIMEOUT", parse_duration)?,
            max_headers: values.parse("PORTCULLIS_MAX_HEADERS", |text| {
                parse_bytes(text, MOST_HEADERS)
            })?,
            max_body: values.parse("PORTCULLIS_MAX_BODY", |text| parse_bytes(text, MOST_BODY))?,
            shutdown_delay: values.parse("PORTCULLIS_SHUTDOWN_DELAY", |text| match text {
                "0s" => Ok(Duration::ZERO),
                text => parse_duration(text),
            })?,
            shutdown_timeout: values.parse("PORTCULLIS_SHUTDOWN_TIMEOUT", parse_duration)?,
            log: values.parse("PORTCULLIS_LOG", |text| {
                tracing_subscriber::EnvFilter::try_new(text)
                    .map(|_| text.to_owned())
                    .map_err(|_| "not a filter such as info or portcullis=debug".to_owned())
            })?,
            log_format: values.one_of(
                "PORTCULLIS_LOG_FORMAT",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            database_url,
            values,
        })
    }

    /// What browsers see, when the server listens on `bound`.
    pub fn public_url(&self, bound: SocketAddr) -> Url {
        let mut url = match &self.public_url {
            Some(url) => return url.clone(),
            None => self.listen_url.clone(),
        };
        // The system may have chosen the port. An http URL takes any.
        let _ = url.set_port(Some(bound.port()));
        url
    }

    /// The value that a command-line flag gave to a setting.
    pub fn flag(&self, name: &str) -> Option<&str> {
        let is_flag = self.values.origin(name) == "flag";
        self.values.get(name).filter(|_| is_flag)
    }

    /// Whether `portcullis.toml` is what decides this setting.
    pub fn is_from_file(&self, name: &str) -> bool {
        self.values.origin(name) == sources::FILE
    }

    /// Each key with its effective value (secrets masked) and where it is from.
    pub fn describe(&self) -> Vec<(&'static str, String, &'static str)> {
        KEYS.iter()
            .map(|key| {
                let shown = match (key.secret, self.values.get(key.name)) {
                    (_, None | Some("")) => "".to_owned(),
                    (true, Some(_)) => "********".to_owned(),
                    (false, Some(_)) if key.name == "DATABASE_URL" => self.database_url.to_string(),
                    (false, Some(text)) => text.to_owned(),
                };
                (key.name, shown, self.values.origin(key.name))
            })
            .collect()
    }
}

/// The secret file of a SQLite database: beside it, `<name>.secret`.
pub fn secret_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

fn secret_keys(
    values: &Values,
    database: &DatabaseUrl,
    from_file: fn(&Path) -> Result<String, String>,
) -> Result<SecretKeys, SettingsError> {
    let key = "PORTCULLIS_SECRET_KEY";
    let current = match (values.optional(key, secret::parse)?, database) {
        (Some(text), _) => text,
        (None, DatabaseUrl::Sqlite(path)) => {
            from_file(&secret_file(path)).map_err(|p| SettingsError::new(key, p))?
        }
        (None, DatabaseUrl::Postgres(_)) => {
            return Err(SettingsError::new(
                key,
                "not set; PostgreSQL needs one, the same for every instance (50 random characters, or Django's SECRET_KEY)",
            ));
        }
    };
    let fallbacks = values.list("PORTCULLIS_SECRET_KEY_FALLBACKS", secret::parse)?;
    Ok(SecretKeys::new(
        SecretKey::new(current),
        fallbacks.into_iter().map(SecretKey::new).collect(),
    ))
}

fn hasher(values: &Values) -> Result<Hasher, SettingsError> {
    let algorithm = values.one_of(
        "PORTCULLIS_PASSWORD_HASHER",
        &[
            ("bcrypt_sha256", Algorithm::BcryptSha256),
            ("pbkdf2_sha256", Algorithm::Pbkdf2Sha256),
            ("argon2", Algorithm::Argon2),
            ("scrypt", Algorithm::Scrypt),
        ],
    )?;
    let name = "PORTCULLIS_PASSWORD_COST";
    let cost = values.optional(name, |text| {
        text.parse::<u32>()
            .map_err(|_| format!("`{text}` is not a whole number"))
    })?;
    Hasher::new(algorithm, cost).map_err(|problem| values.error(name, problem))
}

/// No password may be like the name of the program, or of the host where
/// people see it.
fn password_policy(values: &Values, public_url: Option<&Url>) -> Result<Policy, SettingsError> {
    let min_length = values.parse("PORTCULLIS_PASSWORD_MIN", |text| {
        text.parse()
            .ok()
            .filter(|count| (1..=64).contains(count))
            .ok_or_else(|| format!("`{text}` is not a whole number from 1 to 64"))
    })?;
    let host = public_url.and_then(Url::host_str).map(str::to_owned);
    let names = host.into_iter().chain([env!("CARGO_PKG_NAME").to_owned()]);
    Ok(Policy::new(min_length, names.collect()))
}

/// Each worker has as many, and one at least.
fn max_connections(values: &Values, workers: NonZeroUsize) -> Result<NonZeroUsize, SettingsError> {
    let name = "PORTCULLIS_MAX_CONNECTIONS";
    let count = values.count(name, 10_000, MOST_COUNT)?;
    if count < workers {
        let problem = format!("must be at least PORTCULLIS_WORKERS, which is {workers}");
        return Err(values.error(name, problem));
    }
    Ok(count)
}

fn parse_bytes(text: &str, most: usize) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1024..=most).contains(count))
        .ok_or_else(|| format!("`{text}` is not a whole number from 1024 to {most}"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("`{text}` is not a time such as 90s, 15m, 12h or 14d");
    let unit = text.chars().last().ok_or_else(problem)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(problem()),
    };
    let count: u64 = text
        .strip_suffix(unit)
        .and_then(|count| count.parse().ok())
        .filter(|count| (1..=100_000).contains(count))
        .ok_or_else(problem)?;
    Ok(Duration::from_secs(count * seconds))
}

/// Where the server can be reached from this machine.
fn listen_url(bind: SocketAddr) -> Result<Url, String> {
    let ip = if bind.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        bind.ip()
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, bind.port())))
        .map_err(|error| format!("no URL can be made of it ({error})"))
}

fn parse_public_url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|_| "not a URL such as https://login.example.org".to_owned())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must start with https:// or http://".to_owned());
    }
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must be a scheme, a host and a port only; Portcullis is served at /".to_owned(),
        );
    }
    Ok(url)
}

/// An origin as a browser sends it: lower case, no default port, no path.
fn parse_origin(text: &str, wildcard: bool) -> Result<String, String> {
    let problem = || format!("`{text}` is not an origin such as https://app.example.org");
    let concrete = match text.split_once("://*.") {
        Some((scheme, domain)) if wildcard => format!("{scheme}://{domain}"),
        _ => text.to_owned(),
    };
    let url = Url::parse(&concrete).map_err(|_| problem())?;
    let is_exact = url.origin().ascii_serialization() == concrete && !concrete.contains('*');
    if !matches!(url.scheme(), "http" | "https") || !is_exact {
        return Err(problem());
    }
    Ok(text.to_owned())
}

fn parse_cookie_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_token) {
        return Err("a cookie name is 1 to 64 letters, digits, `_`, `-` or `.`".to_owned());
    }
    if text == crate::http::csrf::COOKIE {
        return Err("csrftoken is the CSRF cookie's name".to_owned());
    }
    Ok(text.to_owned())
}
