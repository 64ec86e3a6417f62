//! The rules of logging in and out: [`Auth`] and its verbs. No HTTP here, and
//! no SQL.

pub mod client;
pub mod clock;
pub mod credentials;
pub mod error;
pub mod event;
pub mod keyring;
pub mod login;
pub mod passwords;
pub mod profile;
pub mod seal;
pub mod session;
pub mod session_key;
pub mod survey;
pub mod sweep;
pub mod throttle;
pub mod token;
pub mod workload;

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::QueryResult;
use django_auth::password::{Hasher, MakeError};
use django_auth::{SessionAuthHash, SessionCodec};

pub use self::client::{Client, Device};
pub use self::clock::Clock;
pub use self::credentials::Credentials;
pub use self::error::AuthError;
use self::event::{Event, Kind};
use self::keyring::Keyring;
pub use self::login::LogIn;
use self::passwords::pool::{HashPool, Limits};
pub use self::profile::{Profile, ProfileError};
pub use self::session::SessionUser;
use self::session::{FoundSession, SessionOwner};
pub use self::session_key::SessionKey;
use self::throttle::Throttle;
pub use self::token::Token;
use self::workload::SharedWorkload;
use crate::db::{Connection, Database, LookUps, Table};
use crate::models::token::Owner;
use crate::models::user::User;
use crate::models::{self, RowKeys, Timestamp, UserId};
use crate::settings::Settings;

/// How long a hashing thread keeps its memory when no login comes.
const HASHING_PAUSE: Duration = Duration::from_secs(10);

/// Who may log in, who is logged in, and how that ends; cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    database: Database,
    /// The three look-ups of a check.
    tokens: LookUps<RowKeys, Arc<Owner>>,
    sessions: LookUps<RowKeys, Arc<FoundSession>>,
    session_owners: LookUps<UserId, Arc<SessionOwner>>,
    pool: HashPool,
    hasher: Hasher,
    workload: SharedWorkload,
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

impl Auth {
    /// Starts the hashing threads.
    pub fn new(settings: &Settings, database: Database, clock: Clock) -> std::io::Result<Self> {
        let codec = SessionCodec::new(&settings.secret_keys);
        let decoder = codec.clone();
        let session_hash = SessionAuthHash::new(&settings.secret_keys);
        let hashes = session_hash.clone();
        Ok(Self(Arc::new(Inner {
            tokens: database.look_ups(Table::Tokens, models::token::find_owners),
            sessions: database.look_ups(Table::Sessions, move |c, keys| {
                session::find(c, keys, &decoder)
            }),
            session_owners: database.look_ups(Table::Users, move |c, ids| {
                session::find_owners(c, ids, &hashes)
            }),
            database,
            pool: HashPool::new(Limits {
                threads: settings.hash_threads.get(),
                queue: settings.hash_queue.get(),
                nice: settings.hash_nice,
                idle: HASHING_PAUSE,
            })?,
            hasher: settings.hasher,
            workload: SharedWorkload::new(&settings.hasher),
            upgrades_hashes: settings.upgrades_hashes,
            keyring: Keyring::new(settings.storage, &settings.secret_keys),
            codec,
            session_hash,
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
    pub async fn find_user_by_token(&self, token: &Token) -> Result<Option<Arc<User>>, AuthError> {
        let keys = self.0.keyring.token_row_keys(token);
        let Some(owner) = self.0.tokens.get(keys).await? else {
            return Ok(None);
        };
        // A clear row that Django left: good, and sealed now that it is used.
        if let Some(clear) = owner.clear.clone() {
            let sealed = self.0.keyring.token_row_key(token);
            self.0
                .database
                .write(move |c| models::token::replace_key(c, &clear, &sealed, None))
                .await?;
        }
        Ok(Some(Arc::clone(&owner.user)))
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
        self.hash_for(&Client::command_line(), password).await
    }

    async fn hash_for(&self, client: &Client, password: String) -> Result<String, AuthError> {
        let hasher = self.0.hasher;
        self.0
            .pool
            .run(&client.network(), move || {
                hasher.make(&password, &mut rand::rng())
            })
            .await?
            .map_err(|_: MakeError| AuthError::InvalidCredentials)
    }
}
