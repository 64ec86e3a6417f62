//! Why a command was not done.

use crate::app::StartError;
use crate::auth::AuthError;
use crate::db::DatabaseError;
use crate::settings::SettingsError;

/// One line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the database refused it: {0}")]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    System(#[from] std::io::Error),
    #[error("{0}")]
    Message(String),
}

impl CliError {
    pub(super) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}
