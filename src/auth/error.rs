//! What can go wrong with a login, as the rules see it.

use std::time::Duration;

use super::passwords::pool::Busy;
use crate::db::DatabaseError;

/// Why a verb of [`Auth`](super::Auth) gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The name, the password or the account is not good. Never says which.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Too many logins have failed; the password was not looked at.
    #[error("too many failed logins; try again in {} s", wait.as_secs() + 1)]
    Throttled {
        /// How long nothing is looked at.
        wait: Duration,
    },
    /// Too many passwords are waiting to be hashed.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
