//! What the rules go by.

use std::time::Duration;

use super::credentials::LoginWith;
use super::keyring::Storage;
use super::passwords::pool::Limits;
use django_auth::SecretKeys;
use django_auth::password::Hasher;

/// The settings of [`Auth`](super::Auth).
pub struct Config {
    /// The current secret key, and those still accepted.
    pub secret_keys: SecretKeys,
    /// How keys are kept in the database.
    pub storage: Storage,
    /// What people log in with.
    pub login_with: LoginWith,
    /// What makes new hashes.
    pub hasher: Hasher,
    /// Whether a login replaces an outdated hash.
    pub upgrades_hashes: bool,
    /// The hashing threads, and how many jobs may wait.
    pub hash_limits: Limits,
    /// The backends of Django whose sessions are accepted; the first is written.
    pub backends: Vec<String>,
    /// The longest life of a session.
    pub session_age: Duration,
    /// The longest time that a session may be idle.
    pub session_idle: Option<Duration>,
    /// Whether failed logins are limited.
    pub throttle: bool,
    /// How long the audit log is kept.
    pub event_age: Duration,
}
