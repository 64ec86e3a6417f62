//! What a database that Django made will and will not carry over.

use std::collections::BTreeMap;
use std::time::Duration;

use django_auth::password;

use super::seal::Keys;
use super::{Auth, AuthError};
use crate::models;
use crate::models::UserId;

/// Users that one read looks at, and how long others go first after it.
const PAGE: i64 = 2000;
const PAUSE: Duration = Duration::from_millis(2);

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
    /// Token keys that stand in clear.
    pub clear_tokens: i64,
    /// Session keys that stand in clear.
    pub clear_sessions: i64,
    /// Whether the newest session was signed with a secret key of ours; `None`
    /// if there is no session.
    pub secret_fits: Option<bool>,
}

impl Auth {
    /// Shows every user's password column, page by page beside the requests.
    pub(super) async fn visit_hashes(&self, mut visit: impl FnMut(&str)) -> Result<(), AuthError> {
        let mut last = UserId(i64::MIN);
        loop {
            let page = self
                .database()
                .read_aside(move |c| models::user::find_passwords_after(c, last, PAGE))
                .await?;
            let Some((id, _)) = page.last() else {
                return Ok(());
            };
            last = *id;
            page.iter().for_each(|(_, encoded)| visit(encoded));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads through users, tokens and sessions.
    pub async fn survey(&self) -> Result<Survey, AuthError> {
        let mut survey = Survey::default();
        self.visit_hashes(|encoded| {
            survey.users += 1;
            *survey
                .hashes
                .entry(password::describe(encoded))
                .or_default() += 1;
            let can_fit = password::is_usable(encoded) && password::algorithm_of(encoded).is_some();
            survey.locked_out += usize::from(!can_fit);
        })
        .await?;
        let now = self.now();
        let database = self.database();
        survey.names_by_case = database.read(models::user::find_names_by_case).await?;
        survey.tokens_of_inactive = database.read(models::token::count_of_inactive).await?;
        survey.expired_sessions = database
            .read(move |c| models::session::count_expired(c, now))
            .await?;
        survey.clear_tokens = self.count_clear(Keys::Tokens).await?;
        survey.clear_sessions = self.count_clear(Keys::Sessions).await?;
        let newest = database.read(models::session::find_newest).await?;
        survey.secret_fits = newest.map(|data| self.0.codec.decode(&data).is_ok());
        Ok(survey)
    }
}
