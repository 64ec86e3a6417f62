//! `portcullis migrate`.

use super::error::CliError;
use crate::app::StartError;
use crate::settings::Settings;

pub(super) fn migrate(settings: &Settings) -> Result<(), CliError> {
    let done = crate::db::Database::migrate(
        &settings.database.url,
        settings.database.user_table.is_ours(),
    )
    .map_err(StartError::from)?;
    for migration in &done {
        println!("applied {migration}");
    }
    if done.is_empty() {
        println!("{} is up to date", settings.database.url);
    }
    Ok(())
}
