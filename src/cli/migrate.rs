//! `portcullis migrate`.

use super::error::CliError;
use crate::app::StartError;
use crate::db::Database;
use crate::settings::Settings;

pub(super) fn migrate(settings: &Settings) -> Result<(), CliError> {
    let (url, is_ours) = (
        &settings.database.url,
        settings.database.user_table.is_ours(),
    );
    let done = Database::migrate(url, is_ours).map_err(StartError::from)?;
    for migration in &done {
        println!("applied {migration}");
    }
    if done.is_empty() {
        println!("{url} is up to date");
    }
    Ok(())
}
