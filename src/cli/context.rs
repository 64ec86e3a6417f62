//! What commands start from.

use super::error::CliError;
use crate::auth::{Auth, Clock};
use crate::settings::Settings;

/// The rules, on the migrated database.
pub(super) fn auth(settings: &Settings) -> Result<Auth, CliError> {
    let database = crate::app::open(settings)?;
    let auth = Auth::new(crate::app::auth_config(settings), database, Clock::system())?;
    Ok(auth)
}
