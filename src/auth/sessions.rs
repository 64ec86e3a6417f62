//! Sessions: whose they are, and when they end.

mod claim;
mod codec;
mod lifetime;
mod upgrades;

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::QueryResult;

use self::claim::{rotate_csrf_secret, set_user};
use self::codec::CachedCodec;
use self::lifetime::Lifetime;
use super::clock::Clock;
use super::config::Config;
use super::error::AuthError;
use super::keyring::{Keyring, SessionKey};
use crate::db::{Connection, Database, LookUps};
use crate::models::session::StoredSession;
use crate::models::user::User;
use crate::models::{self, DjangoTime, KeyKind, RowKeys, Timestamp, UserId, UserTable};
use django_auth::{HashMatch, SessionAuthHash, SessionData};

pub use self::claim::{Claim, MODEL_BACKEND, USER_ID};

/// Whose session some data is.
pub enum SessionUser {
    /// An active user's, whose password is still the one of the login.
    User(Arc<User>),
    /// The same, but signed with one of the fallback keys: to be renewed.
    UserOfOldKey(Arc<User>),
    /// There is no such user, or they are not active.
    Nobody,
    /// It was a user's, but the password has changed: the row must go.
    Stale,
}

/// A session that is stored.
pub struct StartedSession {
    /// Its key, for the browser.
    pub key: SessionKey,
    /// Seconds that browsers keep the cookie; without, until they are closed.
    pub cookie_age: Option<i64>,
}

/// The sessions of all users.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    keyring: Keyring,
    codec: CachedCodec,
    hash: SessionAuthHash,
    lifetime: Lifetime,
    clock: Clock,
    rows: LookUps<RowKeys, StoredSession>,
    owners: LookUps<UserId, Arc<User>>,
    /// Of the user table.
    key: KeyKind,
    /// Of whom sessions are accepted; the first is written.
    backends: Arc<[String]>,
}

impl Sessions {
    pub(super) fn new(
        config: &Config,
        database: Database,
        table: UserTable,
        keyring: Keyring,
        clock: Clock,
    ) -> Self {
        let key = table.key();
        Self {
            codec: CachedCodec::new(&config.secret_keys),
            hash: SessionAuthHash::new(&config.secret_keys),
            lifetime: Lifetime {
                age: config.session_age,
                idle: config.session_idle,
                zone: table.zone().clone(),
            },
            rows: database.look_ups(models::session::find),
            owners: database.look_ups(move |c, ids| table.find_all(c, ids)),
            key,
            backends: config.backends.clone().into(),
            database,
            keyring,
            clock,
        }
    }

    /// How long a session lives.
    pub fn age(&self) -> Duration {
        self.lifetime.age
    }

    /// The data of a session; `None` if there is none, or if it has expired. Data that
    /// cannot be read, since it was signed with another key or is not in Django's
    /// format, is empty.
    pub async fn find(&self, key: &SessionKey) -> Result<Option<Arc<SessionData>>, AuthError> {
        // The time of the question: a request that uses the session meanwhile extends
        // it.
        let now = self.clock.now();
        let keys = self.keyring.session_row_keys(key);
        let row_key = keys.key.clone();
        let row = self.rows.get(keys).await?;
        let end = |row: &StoredSession| self.lifetime.zone.earliest(row.expires);
        let Some(row) = row.filter(|row| end(row) > Timestamp::new(now)) else {
            return Ok(None);
        };
        let Ok(data) = self.codec.decode(&row.data) else {
            // Left alone: another project's, or one that a lost key signed.
            return Ok(Some(Arc::default()));
        };
        if row.key != row_key {
            // Stored the other way, as by Django: good, and moved now that it is used.
            self.database
                .write(move |c| models::session::replace_key(c, &row.key, &row_key))
                .await?;
        } else if let Some(end) = self.lifetime.extended(&data, end(&row), now) {
            let end = self.lifetime.zone.to_django(end);
            self.database
                .write(move |c| models::session::put_off_expiry(c, &row.key, end))
                .await?;
        }
        Ok(Some(data))
    }

    /// Whose session it is, as of now.
    pub async fn find_user(
        &self,
        key: &SessionKey,
        claim: &Claim,
    ) -> Result<SessionUser, AuthError> {
        let is_ours = self.backends.contains(&claim.backend);
        let Some(id) = self.key.parse(&claim.user).filter(|_| is_ours) else {
            return Ok(SessionUser::Nobody);
        };
        let user = self.owners.get(id).await?;
        let Some(user) = user.filter(|user| user.is_active) else {
            return Ok(SessionUser::Nobody);
        };
        Ok(match self.hash.verify(&user.password, &claim.hash) {
            HashMatch::Current => SessionUser::User(user),
            HashMatch::Fallback => SessionUser::UserOfOldKey(user),
            HashMatch::No if self.sign_again(key, &user, &claim.hash).await? => {
                SessionUser::User(user)
            }
            HashMatch::No => SessionUser::Stale,
        })
    }

    /// Stores a new session.
    pub async fn create(&self, data: SessionData) -> Result<SessionKey, AuthError> {
        let sessions = self.clone();
        let created = self.database.write(move |c| sessions.insert(c, &data));
        Ok(created.await?)
    }

    /// Stores other data in a session; `false`, and nothing else, if it is gone.
    pub async fn update(&self, key: &SessionKey, data: &SessionData) -> Result<bool, AuthError> {
        let row_key = self.keyring.session_row_key(key);
        let (text, expires) = self.encode(data);
        let updated = self
            .database
            .write(move |c| models::session::update(c, &row_key, &text, expires));
        Ok(updated.await?)
    }

    /// Deletes a session; `false` if there was none, which costs no write.
    pub async fn delete(&self, key: &SessionKey) -> Result<bool, AuthError> {
        if self.find(key).await?.is_none() {
            return Ok(false);
        }
        let (sessions, key) = (self.clone(), key.clone());
        let deleted = self.database.write(move |c| sessions.delete_row(c, &key));
        Ok(deleted.await? > 0)
    }

    /// Signs a session again that was signed under an old secret key. As in Django it
    /// gets a new key, too; `None` if it has ended meanwhile.
    pub async fn renew(
        &self,
        key: &SessionKey,
        user: &User,
    ) -> Result<Option<StartedSession>, AuthError> {
        let (sessions, key, user) = (self.clone(), key.clone(), user.clone());
        let renewed = self
            .database
            .write(move |c| match sessions.end(c, &key, &user)? {
                Some(data) => sessions.start(c, &user.id, &user.password, data).map(Some),
                None => Ok(None),
            });
        Ok(renewed.await?)
    }

    /// Whether that session data was signed with a secret key of ours.
    pub(super) fn can_read(&self, text: &str) -> bool {
        self.codec.decode(text).is_ok()
    }

    /// The backend that some session data names, if its sessions are not accepted.
    pub(super) fn foreign_backend(&self, text: &str) -> Option<String> {
        let data = self.codec.decode(text).ok()?;
        let backend = Claim::of(|name| data.get(name))?.backend;
        (!self.backends.contains(&backend)).then_some(backend)
    }

    /// Starts a session of that user, whose password column is `encoded`.
    pub(super) fn start(
        &self,
        conn: &mut Connection<'_>,
        user: &UserId,
        encoded: &str,
        mut data: SessionData,
    ) -> QueryResult<StartedSession> {
        let backend = self
            .backends
            .iter()
            .next()
            .map_or(MODEL_BACKEND, String::as_str);
        set_user(&mut data, user, backend, &self.hash.of(encoded));
        rotate_csrf_secret(&mut data);
        self.lifetime.set_end(&mut data, self.clock.now());
        let cookie_age = self.lifetime.cookie_age(&data, self.clock.now());
        let key = self.insert(conn, &data)?;
        Ok(StartedSession { key, cookie_age })
    }

    /// Ends a session that continues as another one, of that user; `None` if it was
    /// gone already. What it held is kept if it was anonymous or this user's; another
    /// user's data never is.
    pub(super) fn end(
        &self,
        conn: &mut Connection<'_>,
        key: &SessionKey,
        user: &User,
    ) -> QueryResult<Option<SessionData>> {
        let keys = [self.keyring.session_row_keys(key)];
        let row = models::session::find(conn, &keys)?.pop().flatten();
        let end = |row: &StoredSession| self.lifetime.zone.earliest(row.expires);
        // As in Django, a row that has expired is left to `clearsessions`.
        let Some(row) = row.filter(|row| end(row) > self.clock.timestamp()) else {
            return Ok(None);
        };
        if self.delete_row(conn, key)? == 0 {
            return Ok(None);
        }
        let Ok(data) = self.codec.decode(&row.data) else {
            return Ok(None);
        };
        let is_anonymous = !data.contains_key(USER_ID);
        let claim = Claim::of(|name| data.get(name));
        let is_same = match claim {
            Some(claim) if self.key.parse(&claim.user).as_ref() == Some(&user.id) => {
                self.hash.verify(&user.password, &claim.hash) != HashMatch::No
                    || self.is_carried_over(conn, &user.id, &user.password, &claim.hash)?
            }
            _ => false,
        };
        let goes_on = is_anonymous || is_same;
        Ok(Some(if goes_on {
            Arc::unwrap_or_clone(data)
        } else {
            SessionData::new()
        }))
    }

    /// Deletes the row of a session, sealed or not; how many rows went.
    pub(super) fn delete_row(
        &self,
        conn: &mut Connection<'_>,
        key: &SessionKey,
    ) -> QueryResult<usize> {
        models::session::delete(conn, &self.keyring.session_row_keys(key).both())
    }

    fn insert(&self, conn: &mut Connection<'_>, data: &SessionData) -> QueryResult<SessionKey> {
        let key = SessionKey::random(&mut rand::rng());
        let row_key = self.keyring.session_row_key(&key);
        let (text, expires) = self.encode(data);
        models::session::create(conn, &row_key, &text, expires)?;
        Ok(key)
    }

    /// The columns of a session that is stored now.
    fn encode(&self, data: &SessionData) -> (String, DjangoTime) {
        let now = self.clock.now();
        let text = self.codec.encode(data, now.timestamp());
        let end = self.lifetime.end(data, now);
        (text, self.lifetime.zone.to_django(end))
    }
}
