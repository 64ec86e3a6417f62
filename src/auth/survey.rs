//! What a database that Django made will and will not carry over.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use django_auth::password::{algorithm_of, describe, is_usable};

use super::seal::Keys;
use super::{Auth, AuthError};
use crate::models::{self, Timestamp};

/// Sessions that are looked into.
const SOME_SESSIONS: i64 = 1000;

/// How far a clock may be ahead: more than two clocks of UTC differ, and no more than any
/// zone's does.
const AHEAD: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(14 * 3600)];

/// What was found; nothing was changed.
#[derive(Debug, Default)]
pub struct Survey {
    /// How many users there are.
    pub users: usize,
    /// How many have each kind of hash, such as `pbkdf2_sha256, 1000000`.
    pub hashes: BTreeMap<String, usize>,
    /// Users whose password column no login can ever fit.
    pub locked_out: usize,
    /// Names that several users have, who all cannot log in.
    pub shared_names: Vec<String>,
    /// Names that are one but for upper and lower case.
    pub names_by_case: Vec<String>,
    /// Addresses that several active users share, if people log in with theirs.
    pub shared_emails: Vec<String>,
    /// Tokens whose owner is not active.
    pub tokens_of_inactive: i64,
    /// Sessions that have expired and are still there.
    pub expired_sessions: i64,
    /// Sessions that end later than any that begins now, by as much as the hours that a
    /// clock may be ahead of UTC.
    pub sessions_ahead: i64,
    /// Users who logged in some hours from now.
    pub logins_ahead: i64,
    /// Token keys in plaintext.
    pub plaintext_tokens: i64,
    /// Session keys in plaintext.
    pub plaintext_sessions: i64,
    /// Token keys that are sealed.
    pub sealed_tokens: i64,
    /// Session keys that are sealed.
    pub sealed_sessions: i64,
    /// Whether the newest session was signed with a secret key of ours; `None` if there
    /// is no session.
    pub secret_fits: Option<bool>,
    /// Backends of Django whose sessions are not accepted, among some of the newest.
    pub foreign_backends: BTreeMap<String, usize>,
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
        let (zone, now) = (self.table.zone().clone(), self.clock.timestamp());
        let database = &self.database;
        let table = self.table.clone();
        survey.shared_names = database.read(move |c| table.find_shared_names(c)).await?;
        let table = self.table.clone();
        survey.names_by_case = database.read(move |c| table.find_names_by_case(c)).await?;
        if self.login_with.takes_emails() {
            let table = self.table.clone();
            survey.shared_emails = database.read(move |c| table.find_shared_emails(c)).await?;
        }
        let table = self.table.clone();
        survey.tokens_of_inactive = database
            .read(move |c| models::token::count_of_inactive(c, &table))
            .await?;
        survey.expired_sessions = database
            .read(move |c| models::session::count_expired(c, &zone, now))
            .await?;
        (survey.sessions_ahead, survey.logins_ahead) = self.count_times_ahead().await?;
        survey.plaintext_tokens = self.count_plaintext(Keys::Tokens).await?;
        survey.sealed_tokens = database.read(models::token::count_sealed).await?;
        survey.sealed_sessions = self.count_sealed_sessions().await?;
        survey.plaintext_sessions = self.count_plaintext(Keys::Sessions).await?;
        let newest = database
            .read(|c| models::session::find_newest(c, SOME_SESSIONS))
            .await?;
        survey.secret_fits = newest.first().map(|data| self.sessions.can_read(data));
        for backend in newest
            .iter()
            .filter_map(|data| self.sessions.foreign_backend(data))
        {
            *survey.foreign_backends.entry(backend).or_default() += 1;
        }
        Ok(survey)
    }

    async fn count_times_ahead(&self) -> Result<(i64, i64), AuthError> {
        let (table, now, age) = (self.table.clone(), self.clock.now(), self.sessions.age());
        let ahead = |age: Duration| {
            AHEAD.map(|time| {
                let time = TimeDelta::from_std(age + time).unwrap_or_default();
                Timestamp::new(now.checked_add_signed(time).unwrap_or(now))
            })
        };
        let (ends, logins) = (ahead(age), ahead(Duration::ZERO));
        let counted = self.database.read(move |c| {
            Ok((
                models::session::count_ending(c, table.zone(), ends)?,
                table.count_logged_in(c, logins)?,
            ))
        });
        Ok(counted.await?)
    }
}
