//! Logging in: the check of the credentials, and what a good login stores.

use std::sync::atomic::Ordering;

use diesel::prelude::QueryResult;
use django_auth::password;

use super::event::{Event, Kind};
use super::throttle::Reservation;
use super::{Auth, AuthError, Client, Credentials, SessionKey, Token};
use crate::db::Connection;
use crate::models::user::User;
use crate::models::{self, Timestamp, UserId};

/// What a login gives, in one step.
pub struct LogIn {
    /// Who logged in.
    pub user: UserId,
    /// The user's one API token.
    pub token: Token,
    /// The key of the new session.
    pub session: SessionKey,
}

impl Auth {
    /// The active user of that name and password, and the place that the
    /// attempt has in the throttle's counters.
    ///
    /// Every refusal is the same [`AuthError::InvalidCredentials`], after the
    /// same hashing, whether the name, the password or the account is wrong.
    async fn authenticate(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<(User, Option<Reservation>), AuthError> {
        // First of all: what will find no room is told so before any other work.
        let ticket = self.0.pool.reserve(&client.network())?;
        let candidate = self.find_candidate(credentials.username(), client).await?;
        let (ticket, reservation) = self.reserve(&candidate, client, ticket).await?;
        let mark = reservation.as_ref().map(Reservation::failure_mark);
        let may_pass = candidate.user.as_ref().is_some_and(|user| user.is_active);
        let encoded = candidate.user.as_ref().map(|user| user.password.clone());
        let workload = self.0.workload.with(encoded.as_deref());
        let password = credentials.password();
        let is_right = ticket
            .run(move || {
                if let Some(mark) = mark {
                    mark.store(true, Ordering::Release);
                }
                let text = password.as_deref().unwrap_or_default();
                // Without a usable password there is nothing to compare, but
                // the work is done all the same.
                let encoded = encoded.as_deref().filter(|_| password.is_some());
                password::check(encoded, text, may_pass, &workload)
            })
            .await?;
        let reason = match candidate.user {
            Some(user) if is_right => {
                reservation.as_ref().inspect(|taken| taken.forgive());
                return Ok((user, reservation));
            }
            Some(user) if !may_pass => Event::of(Kind::LoginFailed, &user, "inactive user"),
            Some(user) => Event::of(Kind::LoginFailed, &user, "wrong password"),
            None => Event::of_nobody(Kind::LoginFailed, "no such user"),
        };
        self.fail(reservation, reason, client).await?;
        Err(AuthError::InvalidCredentials)
    }

    /// Logs a user in: one token, one new session, `last_login`, and the
    /// upgraded hash, together or not at all.
    ///
    /// `presented` is the session that the client came with. It ends; what an
    /// anonymous or the same user's session held goes on in the new one.
    pub async fn log_in(
        &self,
        credentials: &Credentials,
        presented: Option<SessionKey>,
        client: &Client,
    ) -> Result<LogIn, AuthError> {
        let auth = self.clone();
        let finish = move |c: &mut Connection<'_>, user: &User, upgraded: Option<&str>| {
            auth.store_login(c, user, upgraded, presented.as_ref())
        };
        let now = Some(self.now());
        self.finish_login(credentials, client, now, "token and session", finish)
            .await
    }

    fn store_login(
        &self,
        connection: &mut Connection<'_>,
        user: &User,
        upgraded: Option<&str>,
        presented: Option<&SessionKey>,
    ) -> QueryResult<LogIn> {
        let token = self.store_token(connection, user.id)?;
        let data = match presented {
            Some(key) => self.end_session(connection, key, user)?,
            None => None,
        };
        let encoded = upgraded.unwrap_or(&user.password);
        let data = data.unwrap_or_default();
        let session = self.start_session(connection, user.id, encoded, data)?;
        Ok(LogIn {
            user: user.id,
            token,
            session,
        })
    }

    /// The user's one token: the one there is, or a new one.
    ///
    /// DRF's `obtain_auth_token`: no session, and no note of the login in the
    /// user's row.
    pub async fn obtain_token(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<Token, AuthError> {
        let auth = self.clone();
        let finish = move |c: &mut Connection<'_>, user: &User, _: Option<&str>| {
            auth.store_token(c, user.id)
        };
        self.finish_login(credentials, client, None, "token", finish)
            .await
    }

    /// Checks the credentials, and stores all that comes of a good login in one
    /// transaction: `finish` adds what the client gets.
    async fn finish_login<T: Send + 'static>(
        &self,
        credentials: &Credentials,
        client: &Client,
        last_login: Option<Timestamp>,
        gives: &'static str,
        finish: impl FnOnce(&mut Connection<'_>, &User, Option<&str>) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, AuthError> {
        let (user, reservation) = self.authenticate(credentials, client).await?;
        let upgraded = self.upgraded_hash(&user, credentials, client).await?;
        let (auth, by) = (self.clone(), client.clone());
        let place = reservation.as_ref().map(|taken| taken.place().clone());
        let login = self
            .write_noting(client, move |c, events| {
                let upgraded = upgraded.as_deref();
                if !models::user::record_login(c, &user, last_login, upgraded)? {
                    return Ok(None);
                }
                if let Some(place) = place {
                    auth.succeed(c, &place, user.id, &by)?;
                }
                events.note(Event::of(Kind::Login, &user, gives));
                if let Some(upgraded) = upgraded {
                    let [old, new] = [&user.password, upgraded].map(password::describe);
                    let detail = format!("{old} to {new}");
                    events.note(Event::of(Kind::HashUpgraded, &user, detail));
                }
                finish(c, &user, upgraded).map(Some)
            })
            .await?;
        if let (Some(_), Some(taken)) = (&login, reservation) {
            taken.settled();
        }
        login.ok_or(AuthError::InvalidCredentials)
    }

    async fn upgraded_hash(
        &self,
        user: &User,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<Option<String>, AuthError> {
        let is_outdated = self.0.upgrades_hashes && self.0.hasher.must_update(&user.password);
        match credentials.password().filter(|_| is_outdated) {
            Some(password) => self.hash_for(client, password).await.map(Some),
            None => Ok(None),
        }
    }
}
