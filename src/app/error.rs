//! Why a start fails.

use std::net::SocketAddr;

use crate::db::{MigrateError, OpenError};
use crate::models::SchemaError;

/// Why the server did not start: one line that names the thing.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The tables in it cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The cost does not fit the hashes that are there.
    #[error("PORTCULLIS_PASSWORD_COST: {0}")]
    Hashing(String),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address is taken, or not this machine's.
    #[error("PORTCULLIS_BIND: cannot listen on {address}: {reason}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A thread could not be started, or a signal not be caught.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}
