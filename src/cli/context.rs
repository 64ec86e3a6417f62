//! What commands start from.

use super::error::CliError;
use crate::auth::{Auth, Clock};
use crate::settings::Settings;

/// The rules, on the migrated database.
pub(super) fn auth(settings: &Settings) -> Result<Auth, CliError> {
    let (database, users) = crate::app::open(settings)?;
    let config = crate::app::auth_config(settings);
    Ok(Auth::new(config, database, users, Clock::system())?)
}
