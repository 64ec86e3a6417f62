//! `portcullis clearsessions`.

use super::context::auth;
use super::error::CliError;
use crate::settings::Settings;

pub(super) async fn clear_sessions(settings: &Settings) -> Result<(), CliError> {
    let gone = auth(settings)?.clear_sessions().await?;
    println!("deleted {gone} expired sessions");
    Ok(())
}
