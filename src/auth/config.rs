//! What the rules need to know from outside.

use std::time::Duration;

use super::keyring::Storage;
use super::password::Hasher;
use crate::django::SecretKeys;

/// How one process logs people in.
pub struct Config {
    /// Derive the keys that sign sessions and seal tokens.
    pub secret_keys: SecretKeys,
    /// How keys stand in the database.
    pub storage: Storage,
    /// Makes new password hashes.
    pub hasher: Hasher,
    /// Whether a login re-encodes an outdated hash.
    pub upgrades_hashes: bool,
    /// Longest life of a session.
    pub session_age: Duration,
    /// Longest idle time of a session.
    pub session_idle: Option<Duration>,
    /// How long the rows of the audit log are kept.
    pub event_age: Duration,
    /// Whether failed logins are counted and refused.
    pub throttle: bool,
    /// Threads that hash passwords, at least one.
    pub hash_threads: usize,
    /// Passwords that may wait for such a thread.
    pub hash_queue: usize,
    /// How far those threads give way to others: 0, not at all, to 19.
    pub hash_nice: u8,
}
