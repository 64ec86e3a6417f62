//! Logging in: the check of the credentials, and what a good login stores.

use diesel::prelude::QueryResult;
use django_auth::password;

use super::audit::{Event, Kind};
use super::sessions::StartedSession;
use super::throttle::{Assessment, Reservation};
use super::{Auth, AuthError, Client, Credentials, SessionKey, Token};
use crate::db::Connection;
use crate::models::user::User;
use crate::models::{Timestamp, UserId};

/// What a login gives, in one step.
pub struct LogIn {
    /// Who logged in.
    pub user: UserId,
    /// The user's one API token.
    pub token: Token,
    /// The new session.
    pub session: StartedSession,
}

/// A login whose password was right.
struct Checked {
    user: User,
    last_login: Option<Timestamp>,
    upgraded: Option<String>,
    /// For the audit log.
    gives: &'static str,
}

/// A second time only, as an upgraded hash needs no other.
const TRIES: usize = 2;

impl Auth {
    /// Stores the token, a new session, `last_login` and the upgraded hash, or nothing.
    ///
    /// It ends the session that the client `presented`. The new one takes over what an
    /// anonymous or the same user's session held.
    pub async fn log_in(
        &self,
        credentials: &Credentials,
        presented: Option<SessionKey>,
        client: &Client,
    ) -> Result<LogIn, AuthError> {
        let (tokens, sessions) = (self.tokens.clone(), self.sessions.clone());
        let store = move |c: &mut Connection<'_>, user: &User, upgraded: Option<&str>| {
            let token = tokens.get_or_insert(c, &user.id)?;
            let data = match &presented {
                Some(key) => sessions.end(c, key, user)?,
                None => None,
            };
            let encoded = upgraded.unwrap_or(&user.password);
            let session = sessions.start(c, &user.id, encoded, data.unwrap_or_default())?;
            Ok(LogIn {
                user: user.id.clone(),
                token,
                session,
            })
        };
        let now = Some(self.clock.timestamp());
        self.finish_login(credentials, client, now, "token and session", store)
            .await
    }

    /// DRF's `obtain_auth_token`: the user's token, old or new. It starts no session and
    /// leaves `last_login` alone.
    pub async fn obtain_token(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<Token, AuthError> {
        let tokens = self.tokens.clone();
        let store = move |c: &mut Connection<'_>, user: &User, _: Option<&str>| {
            tokens.get_or_insert(c, &user.id)
        };
        self.finish_login(credentials, client, None, "token", store)
            .await
    }

    /// Checks the credentials, and stores all that comes of a good login in one
    /// transaction: `store` adds what the client gets.
    async fn finish_login<T: Send + 'static>(
        &self,
        credentials: &Credentials,
        client: &Client,
        last_login: Option<Timestamp>,
        gives: &'static str,
        store: impl Fn(&mut Connection<'_>, &User, Option<&str>) -> QueryResult<T>
        + Clone
        + Send
        + 'static,
    ) -> Result<T, AuthError> {
        // Another login of this user may upgrade the hash meanwhile.
        for _ in 0..TRIES {
            let (user, reservation) = self.authenticate(credentials, client).await?;
            let upgraded = self
                .passwords
                .upgraded_hash(&user.password, credentials, client)
                .await?;
            let (login, store) = (
                Checked {
                    user,
                    last_login,
                    upgraded,
                    gives,
                },
                store.clone(),
            );
            if let Some(done) = self.store_login(login, reservation, client, store).await? {
                return Ok(done);
            }
        }
        Err(AuthError::InvalidCredentials)
    }

    /// `None` if the user is no longer what was checked.
    async fn store_login<T: Send + 'static>(
        &self,
        login: Checked,
        reservation: Option<Reservation>,
        client: &Client,
        store: impl FnOnce(&mut Connection<'_>, &User, Option<&str>) -> QueryResult<T> + Send + 'static,
    ) -> Result<Option<T>, AuthError> {
        let (table, throttle, by) = (self.table.clone(), self.throttle.clone(), client.clone());
        let sessions = self.sessions.clone();
        let slot = reservation.as_ref().map(|taken| taken.slot().clone());
        let stored = self
            .audit
            .write(client, move |c, events| {
                let (user, upgraded) = (&login.user, login.upgraded.as_deref());
                if !table.record_login(c, user, login.last_login, upgraded)? {
                    return Ok(None);
                }
                if let Some(slot) = slot {
                    throttle.succeed(c, &slot, &user.id, &by)?;
                }
                events.push(Event::of(Kind::Login, user, login.gives));
                if let Some(upgraded) = upgraded {
                    sessions.carry_over(c, user, upgraded)?;
                    let [old, new] = [&*user.password, upgraded].map(password::describe);
                    let detail = format!("{old} to {new}");
                    events.push(Event::of(Kind::HashUpgraded, user, detail));
                }
                store(c, user, upgraded).map(Some)
            })
            .await?;
        if let (Some(_), Some(taken)) = (&stored, reservation) {
            taken.settled();
        }
        Ok(stored)
    }

    /// The active user, and the attempt's slot in the throttle's counters. Every refusal
    /// is the same [`AuthError::InvalidCredentials`], after the same hashing, whether the
    /// name, the password or the account is wrong.
    async fn authenticate(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<(User, Option<Reservation>), AuthError> {
        // First: a login that finds no room must cost nothing else.
        let ticket = self.passwords.reserve(client)?;
        let (user, assessment) = self.find_user(credentials, client).await?;
        let (ticket, reservation) = match assessment {
            None => (ticket, None),
            Some(assessment) => {
                let pool = self.passwords.pool();
                let reserving =
                    self.throttle
                        .reserve(&assessment, user.as_ref(), client, ticket, pool);
                let (ticket, taken) = reserving.await?;
                (ticket, Some(taken))
            }
        };
        let being_checked = reservation.as_ref().map(Reservation::failure_flag);
        let is_right = self
            .passwords
            .check(ticket, user.as_ref(), credentials, being_checked)
            .await?;
        let reason = match user {
            Some(user) if is_right => {
                reservation.as_ref().inspect(|taken| taken.forgive());
                return Ok((user, reservation));
            }
            Some(user) if !user.is_active => Event::of(Kind::LoginFailed, &user, "inactive user"),
            Some(user) => Event::of(Kind::LoginFailed, &user, "wrong password"),
            None => Event::without_user(Kind::LoginFailed, "no such user"),
        };
        self.throttle.fail(reservation, reason, client).await?;
        Err(AuthError::InvalidCredentials)
    }

    /// The user of that name, and how the counters stand: one read.
    async fn find_user(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<(Option<User>, Option<Assessment>), AuthError> {
        let (table, throttle) = (self.table.clone(), self.throttle.clone());
        let login_with = self.login_with;
        let (name, client) = (credentials.username().map(str::to_owned), client.clone());
        let found = self.database.read(move |c| {
            let user = match &name {
                Some(name) => login_with.find(&table, c, name)?,
                None => None,
            };
            let assessment = throttle.assess(c, user.as_ref(), name.as_deref(), &client)?;
            Ok((user, assessment))
        });
        Ok(found.await?)
    }
}
