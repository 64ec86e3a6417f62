//! What commands start from.

use super::error::CliError;
use crate::auth::{Auth, Clock};
use crate::settings::Settings;

/// The rules, on the migrated database.
pub(super) fn auth(settings: &Settings) -> Result<Auth, CliError> {
    Ok(crate::app::open(settings)?.auth(settings, Clock::system())?)
}
