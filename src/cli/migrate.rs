//! `portcullis migrate`.

use super::error::CliError;
use crate::settings::Settings;

pub(super) fn migrate(settings: &Settings) -> Result<(), CliError> {
    let done = crate::app::migrate(settings)?;
    for migration in &done {
        println!("applied {migration}");
    }
    if done.is_empty() {
        println!("{} is up to date", settings.database.url);
    }
    Ok(())
}
