//! The rules of logging in and out: [`Auth`] and its verbs. No HTTP here, and
//! no SQL.

pub mod client;
pub mod clock;
pub mod credentials;
pub mod error;
pub mod event;
pub mod keyring;
pub mod password;
pub mod profile;
pub mod seal;
pub mod session;
pub mod session_key;
pub mod survey;
pub mod sweep;
pub mod throttle;
pub mod token;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::prelude::QueryResult;

pub use self::client::{Client, Device};
pub use self::clock::Clock;
pub use self::credentials::Credentials;
pub use self::error::AuthError;
use self::event::{Event, Kind};
use self::keyring::Keyring;
use self::password::pool::HashPool;
use self::password::{Hasher, MakeError};
pub use self::profile::{Profile, ProfileError};
pub use self::session::SessionUser;
pub use self::session_key::SessionKey;
use self::throttle::{Reservation, Throttle};
pub use self::token::Token;
use crate::db::{Connection, Database};
use crate::django::{SessionAuthHash, SessionCodec};
use crate::models::user::User;
use crate::models::{self, Timestamp, UserId};
use crate::settings::Settings;

/// Who may log in, who is logged in, and how that ends; cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    database: Database,
    pool: HashPool,
    hasher: Hasher,
    upgrades_hashes: bool,
    keyring: Keyring,
    codec: SessionCodec,
    session_hash: SessionAuthHash,
    session_age: Duration,
    session_idle: Option<Duration>,
    event_age: Duration,
    throttle: Throttle,
    clock: Clock,
}

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
    /// Starts the hashing threads.
    pub fn new(settings: &Settings, database: Database, clock: Clock) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            database,
            pool: HashPool::new(settings.hash_threads.get(), settings.hash_queue.get())?,
            hasher: settings.hasher,
            upgrades_hashes: settings.upgrades_hashes,
            keyring: Keyring::new(settings.storage, &settings.secret_keys),
            codec: SessionCodec::new(&settings.secret_keys),
            session_hash: SessionAuthHash::new(&settings.secret_keys),
            session_age: settings.session_age,
            session_idle: settings.session_idle,
            event_age: settings.event_age,
            throttle: Throttle::new(settings.throttle, &settings.secret_keys),
            clock,
        })))
    }

    /// The database, for what is no rule of logging in.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// The pool that hashes passwords; its counter tells how much work a
    /// request was.
    pub fn hash_pool(&self) -> &HashPool {
        &self.0.pool
    }

    /// How long a session lives.
    pub fn session_age(&self) -> Duration {
        self.0.session_age
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.0.clock.now())
    }

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
        let candidate = self.find_candidate(credentials.username(), client).await?;
        let reservation = self.reserve(&candidate, client).await?;
        let hasher = self.0.hasher;
        let mark = reservation.as_ref().map(Reservation::failure_mark);
        let encoded = candidate.user.as_ref().map(|user| user.password.clone());
        let password = credentials.password();
        let is_right = self
            .0
            .pool
            .run(move || {
                if let Some(mark) = mark {
                    mark.store(true, Ordering::Release);
                }
                let text = password.as_deref().unwrap_or_default();
                // Without a usable password there is nothing to compare, but
                // the work is done all the same.
                let encoded = encoded.as_deref().filter(|_| password.is_some());
                hasher.check(encoded, text, &mut rand::rng())
            })
            .await?;
        let reason = match candidate.user {
            Some(user) if is_right && user.is_active => {
                reservation.as_ref().inspect(|taken| taken.forgive());
                return Ok((user, reservation));
            }
            Some(user) if is_right => Event::of(Kind::LoginFailed, &user, "inactive user"),
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
        let upgraded = self.upgraded_hash(&user, credentials).await?;
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
        if login.is_some() {
            reservation.map(Reservation::settled);
        }
        login.ok_or(AuthError::InvalidCredentials)
    }

    fn store_token(&self, connection: &mut Connection<'_>, user: UserId) -> QueryResult<Token> {
        let keyring = &self.0.keyring;
        for _ in 0..3 {
            let now = self.now();
            let Some(row_key) = models::token::find_key_for_update(connection, user)? else {
                let token = keyring.new_token(user, &mut rand::rng());
                let key = keyring.token_row_key(&token);
                if models::token::create(connection, user, &key, now)? {
                    return Ok(token);
                }
                // Another login of this user was faster: take its token.
                continue;
            };
            if let Some(token) = keyring.recover_token(user, &row_key) {
                return Ok(token);
            }
            let token = keyring.new_token(user, &mut rand::rng());
            let key = keyring.token_row_key(&token);
            if models::token::replace_key(connection, &row_key, &key, Some(now))? {
                return Ok(token);
            }
        }
        // Only if others log this user in and out without pause.
        Err(diesel::result::Error::RollbackTransaction)
    }

    /// The token of a user who is logged in, if it can be shown again.
    pub async fn find_token(&self, user: UserId) -> Result<Option<Token>, AuthError> {
        let row_key = self
            .0
            .database
            .read(move |c| models::token::find_key(c, user))
            .await?;
        Ok(row_key.and_then(|key| self.0.keyring.recover_token(user, &key)))
    }

    /// The owner of a token. Whether the owner is active is for the caller to
    /// ask, since DRF answers that with other words.
    pub async fn find_user_by_token(&self, token: &Token) -> Result<Option<User>, AuthError> {
        let sealed = self.0.keyring.token_row_key(token);
        let found = {
            let key = sealed.clone();
            self.0
                .database
                .read(move |c| models::token::find_user(c, &key))
                .await?
        };
        if found.is_some() || !self.0.keyring.is_sealed() {
            return Ok(found);
        }
        // A clear row that Django left: good, and sealed now that it is used.
        let clear = token.expose().to_owned();
        let found = {
            let key = clear.clone();
            self.0
                .database
                .read(move |c| models::token::find_user(c, &key))
                .await?
        };
        if found.is_some() {
            self.0
                .database
                .write(move |c| models::token::replace_key(c, &clear, &sealed, None))
                .await?;
        }
        Ok(found)
    }

    /// Ends a user's login: the token, and the session if there is one.
    ///
    /// When this returns, neither is accepted any more, anywhere.
    pub async fn log_out(
        &self,
        user: &User,
        session: Option<SessionKey>,
        client: &Client,
    ) -> Result<(), AuthError> {
        let (auth, user) = (self.clone(), user.clone());
        self.write_noting(client, move |c, events| {
            let tokens = models::token::delete_by_user(c, user.id)?;
            let sessions = match session {
                Some(key) => auth.delete_session_row(c, &key)?,
                None => 0,
            };
            let ended = match (tokens, sessions) {
                (0, 0) => "nothing was left",
                (_, 0) => "token",
                (0, _) => "session",
                (_, _) => "token and session",
            };
            events.note(Event::of(Kind::Logout, &user, ended));
            Ok(())
        })
        .await
    }

    /// Deletes the user's token and makes a new one (`drf_create_token --reset`).
    pub async fn reset_token(&self, user: &User) -> Result<Token, AuthError> {
        self.command_token(user, true).await
    }

    /// The user's token, made if there is none (`drf_create_token`).
    pub async fn get_or_create_token(&self, user: &User) -> Result<Token, AuthError> {
        self.command_token(user, false).await
    }

    async fn command_token(&self, user: &User, resets: bool) -> Result<Token, AuthError> {
        let (auth, user) = (self.clone(), user.clone());
        self.write_noting(&Client::command_line(), move |c, events| {
            let kind = if resets {
                models::token::delete_by_user(c, user.id)?;
                Kind::TokenReset
            } else {
                Kind::TokenShown
            };
            events.note(Event::of(kind, &user, ""));
            auth.store_token(c, user.id)
        })
        .await
    }

    /// When the user last logged in.
    pub async fn find_last_login(&self, user: UserId) -> Result<Option<Timestamp>, AuthError> {
        let last_login = self
            .0
            .database
            .read(move |c| models::user::find_last_login(c, user))
            .await;
        // A date that nobody can read is no reason to show an error.
        Ok(last_login.unwrap_or_default())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), AuthError> {
        let anyone = |c: &mut Connection<'_>| models::user::find(c, UserId(0)).map(drop);
        Ok(self.0.database.read(anyone).await?)
    }

    /// A new hash of a new password, by the preferred hasher.
    pub async fn hash_password(&self, password: String) -> Result<String, AuthError> {
        let hasher = self.0.hasher;
        self.0
            .pool
            .run(move || hasher.make(&password, &mut rand::rng()))
            .await?
            .map_err(|_: MakeError| AuthError::InvalidCredentials)
    }

    async fn upgraded_hash(
        &self,
        user: &User,
        credentials: &Credentials,
    ) -> Result<Option<String>, AuthError> {
        let is_outdated = self.0.upgrades_hashes && self.0.hasher.must_update(&user.password);
        match credentials.password().filter(|_| is_outdated) {
            Some(password) => self.hash_password(password).await.map(Some),
            None => Ok(None),
        }
    }
}
