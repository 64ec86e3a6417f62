//! The rules of logging in and out: [`Auth`] and its verbs. No HTTP here, and
//! no SQL.

pub mod clock;
pub mod credentials;
pub mod error;
pub mod keyring;
pub mod password;
pub mod profile;
pub mod seal;
pub mod session;
pub mod session_key;
pub mod survey;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::QueryResult;

pub use self::clock::Clock;
pub use self::credentials::Credentials;
pub use self::error::AuthError;
use self::keyring::Keyring;
use self::password::pool::HashPool;
use self::password::{Hasher, MakeError};
pub use self::profile::{Profile, ProfileError};
pub use self::session::SessionUser;
pub use self::session_key::SessionKey;
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

    /// The active user of that name and password.
    ///
    /// Every refusal is the same [`AuthError::InvalidCredentials`], after the
    /// same hashing, whether the name, the password or the account is wrong.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<User, AuthError> {
        let user = match credentials.username().map(str::to_owned) {
            Some(name) => {
                self.0
                    .database
                    .read(move |c| models::user::find_by_username(c, &name))
                    .await?
            }
            None => None,
        };
        let hasher = self.0.hasher;
        let encoded = user.as_ref().map(|user| user.password.clone());
        let password = credentials.password();
        let is_right = self
            .0
            .pool
            .run(move || {
                let text = password.as_deref().unwrap_or_default();
                // Without a usable password there is nothing to compare, but
                // the work is done all the same.
                let encoded = encoded.as_deref().filter(|_| password.is_some());
                hasher.check(encoded, text, &mut rand::rng())
            })
            .await?;
        user.filter(|user| is_right && user.is_active)
            .ok_or(AuthError::InvalidCredentials)
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
    ) -> Result<LogIn, AuthError> {
        let user = self.authenticate(credentials).await?;
        let upgraded = self.upgraded_hash(&user, credentials).await?;
        let auth = self.clone();
        self.0
            .database
            .write(move |c| auth.store_login(c, &user, upgraded.as_deref(), presented.as_ref()))
            .await?
            .ok_or(AuthError::InvalidCredentials)
    }

    fn store_login(
        &self,
        connection: &mut Connection<'_>,
        user: &User,
        upgraded: Option<&str>,
        presented: Option<&SessionKey>,
    ) -> QueryResult<Option<LogIn>> {
        if !models::user::record_login(connection, user, Some(self.now()), upgraded)? {
            return Ok(None);
        }
        let token = self.store_token(connection, user.id)?;
        let data = match presented {
            Some(key) => self.end_session(connection, key, user)?,
            None => None,
        };
        let encoded = upgraded.unwrap_or(&user.password);
        let data = data.unwrap_or_default();
        let session = self.start_session(connection, user.id, encoded, data)?;
        Ok(Some(LogIn {
            user: user.id,
            token,
            session,
        }))
    }

    /// The user's one token: the one there is, or a new one.
    ///
    /// DRF's `obtain_auth_token`: no session, and no note of the login.
    pub async fn obtain_token(&self, credentials: &Credentials) -> Result<Token, AuthError> {
        let user = self.authenticate(credentials).await?;
        let upgraded = self.upgraded_hash(&user, credentials).await?;
        let auth = self.clone();
        self.0
            .database
            .write(move |c| {
                if models::user::record_login(c, &user, None, upgraded.as_deref())? {
                    auth.store_token(c, user.id).map(Some)
                } else {
                    Ok(None)
                }
            })
            .await?
            .ok_or(AuthError::InvalidCredentials)
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
        user: UserId,
        session: Option<SessionKey>,
    ) -> Result<(), AuthError> {
        let auth = self.clone();
        self.0
            .database
            .write(move |c| {
                models::token::delete_by_user(c, user)?;
                match session {
                    Some(key) => auth.delete_session_row(c, &key).map(drop),
                    None => Ok(()),
                }
            })
            .await?;
        Ok(())
    }

    /// Deletes the user's token and makes a new one (`drf_create_token --reset`).
    pub async fn reset_token(&self, user: UserId) -> Result<Token, AuthError> {
        let auth = self.clone();
        let token = self
            .0
            .database
            .write(move |c| {
                models::token::delete_by_user(c, user)?;
                auth.store_token(c, user)
            })
            .await?;
        Ok(token)
    }

    /// The user's token, made if there is none (`drf_create_token`).
    pub async fn get_or_create_token(&self, user: UserId) -> Result<Token, AuthError> {
        let auth = self.clone();
        let token = self
            .0
            .database
            .write(move |c| auth.store_token(c, user))
            .await?;
        Ok(token)
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
