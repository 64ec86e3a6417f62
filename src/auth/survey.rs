//! What a database that Django made will and will not carry over.

use std::collections::BTreeMap;

use django_auth::password::{algorithm_of, describe, is_usable};

use super::seal::Keys;
use super::sessions::other_backend;
use super::{Auth, AuthError};
use crate::models;

/// What was found; nothing was changed.
#[derive(Debug, Default)]
pub struct Survey {
    /// How many users there are.
    pub users: usize,
    /// How many have each kind of hash, such as `pbkdf2_sha256, 1000000`.
    pub hashes: BTreeMap<String, usize>,
    /// Users whose password column no login can ever fit.
    pub locked_out: usize,
    /// Names that are one but for upper and lower case.
    pub names_by_case: Vec<String>,
    /// Tokens whose owner is not active.
    pub tokens_of_inactive: i64,
    /// Sessions that have expired and are still there.
    pub expired_sessions: i64,
    /// Token keys in plaintext.
    pub plaintext_tokens: i64,
    /// Session keys in plaintext.
    pub plaintext_sessions: i64,
    /// Whether the newest session was signed with a secret key of ours; `None` if there
    /// is no session.
    pub secret_fits: Option<bool>,
    /// Whose session the newest one is, if it is not of Django's own backend.
    pub other_backend: Option<String>,
}

impl Auth {
    /// Reads through users, tokens and sessions.
    pub async fn survey(&self) -> Result<Survey, AuthError> {
        let mut survey = Survey::default();
        let count = |encoded: &str| {
            survey.users += 1;
            *survey.hashes.entry(describe(encoded)).or_default() += 1;
            let can_fit = is_usable(encoded) && algorithm_of(encoded).is_some();
            survey.locked_out += usize::from(!can_fit);
        };
        self.passwords.visit_hashes(count).await?;
        let now = self.clock.timestamp();
        let database = &self.database;
        let table = self.table.clone();
        survey.names_by_case = database.read(move |c| table.find_names_by_case(c)).await?;
        let table = self.table.clone();
        survey.tokens_of_inactive = database
            .read(move |c| models::token::count_of_inactive(c, &table))
            .await?;
        survey.expired_sessions = database
            .read(move |c| models::session::count_expired(c, now))
            .await?;
        survey.plaintext_tokens = self.count_plaintext(Keys::Tokens).await?;
        survey.plaintext_sessions = self.count_plaintext(Keys::Sessions).await?;
        let newest = database.read(models::session::find_newest).await?;
        let newest = newest.map(|text| self.sessions.decode(&text));
        survey.secret_fits = newest.as_ref().map(Option::is_some);
        survey.other_backend = newest.flatten().and_then(|data| other_backend(&data));
        Ok(survey)
    }
}
