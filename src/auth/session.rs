//! Sessions: whose they are, and when they are nobody's.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use diesel::prelude::QueryResult;
use django_auth::{HashMatch, SessionAuthHash, SessionCodec, SessionData};
use serde_json::Value;

use super::{Auth, AuthError, SessionKey};
use crate::db::Connection;
use crate::models::session::StoredSession;
use crate::models::user::User;
use crate::models::{self, RowKeys, Timestamp, UserId};

/// Django's names in the session data.
pub const USER_ID: &str = "_auth_user_id";
const BACKEND: &str = "_auth_user_backend";
const HASH: &str = "_auth_user_hash";
/// Ours, only while there is an idle limit: the Unix time at which the session
/// ends, however busy it is.
const ENDS: &str = "_portcullis_ends";
const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

/// A row that was looked up, decoded: what a request needs to know of it. Many are
/// remembered, so it takes little room.
pub struct FoundSession {
    /// The row key, if that is one in clear.
    clear: Option<Box<str>>,
    expires: Timestamp,
    /// `None` if nobody can read it: signed with another key, or not Django's format.
    entries: Option<Entries>,
}

impl FoundSession {
    fn of(row: StoredSession, keys: &RowKeys, codec: &SessionCodec) -> Self {
        let data = codec.decode(&row.data).ok();
        Self {
            clear: (row.key != keys.key).then(|| row.key.into()),
            expires: row.expires,
            entries: data.as_ref().map(Entries::of),
        }
    }

    /// Its data, each value as a JSON text; nothing if nobody can read it.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().flat_map(Entries::iter)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.entries()
            .find(|entry| entry.0 == name)
            .map(|entry| entry.1)
    }
}

/// A session's data in one piece.
struct Entries {
    /// Name, value, name, value.
    text: Box<str>,
    /// Where each of them ends.
    ends: Box<[u32]>,
}

impl Entries {
    fn of(data: &SessionData) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(2 * data.len()));
        for (name, value) in data {
            let value = serde_json::to_string(value).unwrap_or_default();
            for part in [name, &value] {
                text.push_str(part);
                ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        let mut part = move |end: u32| {
            let end = end as usize;
            let part = self.text.get(start..end).unwrap_or_default();
            start = end;
            part
        };
        let (pairs, _) = self.ends.as_chunks();
        pairs
            .iter()
            .map(move |[name, value]| (part(*name), part(*value)))
    }
}

/// The sessions with those row keys.
pub(super) fn find(
    connection: &mut Connection<'_>,
    keys: &[RowKeys],
    codec: &SessionCodec,
) -> QueryResult<Vec<Option<Arc<FoundSession>>>> {
    let rows = models::session::find(connection, keys)?;
    let found = rows.into_iter().zip(keys).map(|(row, keys)| {
        let found = FoundSession::of(row?, keys, codec);
        Some(Arc::new(found))
    });
    Ok(found.collect())
}

/// A user, and what the user's sessions have to present.
pub(super) struct SessionOwner {
    user: Arc<User>,
    hash: String,
}

/// The users with those ids.
pub(super) fn find_owners(
    connection: &mut Connection<'_>,
    ids: &[UserId],
    hash: &SessionAuthHash,
) -> QueryResult<Vec<Option<Arc<SessionOwner>>>> {
    let owner = |user: Arc<User>| {
        let hash = hash.of(&user.password);
        Arc::new(SessionOwner { user, hash })
    };
    let users = models::user::find_all(connection, ids)?;
    Ok(users.into_iter().map(|user| user.map(owner)).collect())
}

/// Whose session some data is.
pub enum SessionUser {
    /// An active user's, whose password is still the one of the login.
    User(Arc<User>),
    /// The same, but signed with one of the fallback keys: to be renewed.
    UserOfOldKey(Arc<User>),
    /// Nobody's: one who is gone, or not active.
    Nobody,
    /// It was a user's, but the password has changed: the row must go.
    Stale,
}

/// Marks the data as this user's, in Django's order of keys.
fn set_user(data: &mut SessionData, user: UserId, hash: &str) {
    data.insert(USER_ID.to_owned(), Value::String(user.to_string()));
    data.insert(BACKEND.to_owned(), Value::String(MODEL_BACKEND.to_owned()));
    data.insert(HASH.to_owned(), Value::String(hash.to_owned()));
}

/// When the data says that the session ends; a Unix time.
fn noted_end(data: &SessionData) -> Option<i64> {
    data.get(ENDS).and_then(Value::as_i64)
}

/// Whose session it is, by what stands in it.
pub struct Claim {
    user: UserId,
    hash: String,
}

impl Claim {
    /// The claim in a session with those entries; `None` if it is nobody's, or
    /// if it was not Django's own backend that put it there.
    pub fn of(entry: impl Fn(&str) -> Option<Value>) -> Option<Self> {
        if entry(BACKEND)? != MODEL_BACKEND {
            return None;
        }
        let id = match entry(USER_ID)? {
            Value::String(text) => text.parse().ok()?,
            number => number.as_i64()?,
        };
        let hash = match entry(HASH) {
            Some(Value::String(hash)) => hash,
            _ => String::new(),
        };
        let user = UserId(id);
        Some(Self { user, hash })
    }
}

impl Auth {
    /// Reads the row of a session key; `None` if there is none, or if it has expired.
    pub async fn find_session(
        &self,
        key: &SessionKey,
    ) -> Result<Option<Arc<FoundSession>>, AuthError> {
        // Of when it was asked: whoever uses the session meanwhile puts its end off.
        let now = self.now();
        let keys = self.0.keyring.session_row_keys(key);
        let found = self.0.sessions.get(keys).await?;
        let Some(found) = found.filter(|found| found.expires > now) else {
            return Ok(None);
        };
        match &found.clear {
            None => self.stay_awake(key, &found).await?,
            // What nobody can read is left alone.
            Some(_) if found.entries.is_none() => {}
            // A clear row that Django left: good, and sealed now that it is used.
            Some(clear) => {
                let (clear, row_key) = (clear.clone(), self.0.keyring.session_row_key(key));
                self.0
                    .database
                    .write(move |c| models::session::replace_key(c, &clear, &row_key))
                    .await?;
            }
        }
        Ok(Some(found))
    }

    /// When a session ends if nobody uses it from now on; `ends` is what it notes of
    /// that itself, a Unix time.
    fn session_end(&self, ends: Option<i64>) -> Timestamp {
        let now = self.0.clock.now();
        let after = |age: Duration| {
            let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
            now.checked_add_signed(age).unwrap_or(now)
        };
        let ends = ends
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .unwrap_or_else(|| after(self.0.session_age));
        Timestamp::new(match self.0.session_idle {
            Some(idle) => ends.min(after(idle)),
            None => ends,
        })
    }

    /// Notes in the data when the session ends, if an idle limit will move the
    /// date in its row.
    fn set_end(&self, data: &mut SessionData) {
        data.remove(ENDS);
        if self.0.session_idle.is_some() {
            let ends = self.0.clock.now().timestamp()
                + i64::try_from(self.0.session_age.as_secs()).unwrap_or(i64::MAX / 2);
            data.insert(ENDS.to_owned(), Value::from(ends));
        }
    }

    /// Moves the end of a session that is being used. It is written once in a
    /// tenth of the idle time, not with every request. Sessions that Django
    /// made have no mark, and live as long as Django said.
    async fn stay_awake(&self, key: &SessionKey, found: &FoundSession) -> Result<(), AuthError> {
        let Some(idle) = self.0.session_idle else {
            return Ok(());
        };
        let Some(ends) = found.get(ENDS) else {
            return Ok(());
        };
        let end = self.session_end(ends.parse().ok());
        let gained = (end.to_utc() - found.expires.to_utc()).to_std();
        if gained.is_ok_and(|gained| gained > idle / 10) {
            let row_key = self.0.keyring.session_row_key(key);
            self.0
                .database
                .write(move |c| models::session::put_off_expiry(c, &row_key, end))
                .await?;
        }
        Ok(())
    }

    /// Whose session it is, as of now.
    pub async fn find_user_by_session(&self, claim: &Claim) -> Result<SessionUser, AuthError> {
        let owner = self.0.session_owners.get(claim.user).await?;
        let Some(owner) = owner.filter(|owner| owner.user.is_active) else {
            return Ok(SessionUser::Nobody);
        };
        let user = Arc::clone(&owner.user);
        let hashes = &self.0.session_hash;
        Ok(
            match hashes.verify_with(&owner.hash, &user.password, &claim.hash) {
                HashMatch::Current => SessionUser::User(user),
                HashMatch::Fallback => SessionUser::UserOfOldKey(user),
                HashMatch::No => SessionUser::Stale,
            },
        )
    }

    /// Stores a new session.
    pub async fn create_session(&self, data: SessionData) -> Result<SessionKey, AuthError> {
        let key = SessionKey::random(&mut rand::rng());
        let (auth, stored) = (self.clone(), key.clone());
        self.0
            .database
            .write(move |c| auth.store_session(c, &stored, &data))
            .await?;
        Ok(key)
    }

    /// Stores other data in a session; `false`, and nothing else, if it is gone.
    pub async fn update_session(
        &self,
        key: &SessionKey,
        data: &SessionData,
    ) -> Result<bool, AuthError> {
        let row_key = self.0.keyring.session_row_key(key);
        let text = self.0.codec.encode(data, self.0.clock.now().timestamp());
        let expires = self.session_end(noted_end(data));
        let updated = self
            .0
            .database
            .write(move |c| models::session::update(c, &row_key, &text, expires))
            .await?;
        Ok(updated)
    }

    /// Deletes a session; `false` if there was none, which costs no write.
    pub async fn delete_session(&self, key: &SessionKey) -> Result<bool, AuthError> {
        if self.find_session(key).await?.is_none() {
            return Ok(false);
        }
        let (auth, key) = (self.clone(), key.clone());
        let deleted = self
            .0
            .database
            .write(move |c| auth.delete_session_row(c, &key))
            .await?;
        Ok(deleted > 0)
    }

    fn store_session(
        &self,
        connection: &mut Connection<'_>,
        key: &SessionKey,
        data: &SessionData,
    ) -> QueryResult<()> {
        let row_key = self.0.keyring.session_row_key(key);
        let text = self.0.codec.encode(data, self.0.clock.now().timestamp());
        let expires = self.session_end(noted_end(data));
        models::session::create(connection, &row_key, &text, expires)
    }

    pub(super) fn delete_session_row(
        &self,
        connection: &mut Connection<'_>,
        key: &SessionKey,
    ) -> QueryResult<usize> {
        let row_key = self.0.keyring.session_row_key(key);
        let deleted = models::session::delete(connection, &row_key)?;
        if deleted > 0 || !self.0.keyring.is_sealed() {
            return Ok(deleted);
        }
        models::session::delete(connection, key.expose())
    }

    /// Starts a session of that user, whose password column is `encoded`.
    pub(super) fn start_session(
        &self,
        connection: &mut Connection<'_>,
        user: UserId,
        encoded: &str,
        mut data: SessionData,
    ) -> QueryResult<SessionKey> {
        set_user(&mut data, user, &self.0.session_hash.of(encoded));
        self.set_end(&mut data);
        let key = SessionKey::random(&mut rand::rng());
        self.store_session(connection, &key, &data)?;
        Ok(key)
    }

    /// Ends a session that goes on as another one, of that user; `None` if it
    /// was gone already. What it held is kept if it was anonymous or this
    /// user's; what was another user's never is.
    pub(super) fn end_session(
        &self,
        connection: &mut Connection<'_>,
        key: &SessionKey,
        user: &User,
    ) -> QueryResult<Option<SessionData>> {
        let keys = [self.0.keyring.session_row_keys(key)];
        let row = models::session::find(connection, &keys)?.pop().flatten();
        // As in Django, a row that has expired is left to `clearsessions`.
        let Some(row) = row.filter(|row| row.expires > self.now()) else {
            return Ok(None);
        };
        if self.delete_session_row(connection, key)? == 0 {
            return Ok(None);
        }
        let Ok(data) = self.0.codec.decode(&row.data) else {
            return Ok(None);
        };
        let is_anonymous = !data.contains_key(USER_ID);
        let claim = Claim::of(|name| data.get(name).cloned());
        let is_same = claim.is_some_and(|claim| {
            let fits = self.0.session_hash.verify(&user.password, &claim.hash);
            claim.user == user.id && fits != HashMatch::No
        });
        Ok(Some(if is_anonymous || is_same {
            data
        } else {
            SessionData::new()
        }))
    }

    /// Signs a session anew that was signed under an old secret key. As in
    /// Django it gets a new key, too; `None` if it has ended meanwhile.
    pub async fn renew_session(
        &self,
        key: &SessionKey,
        user: &User,
    ) -> Result<Option<SessionKey>, AuthError> {
        let (auth, key, user) = (self.clone(), key.clone(), user.clone());
        let renewed = self
            .0
            .database
            .write(move |c| match auth.end_session(c, &key, &user)? {
                Some(data) => auth
                    .start_session(c, user.id, &user.password, data)
                    .map(Some),
                None => Ok(None),
            })
            .await?;
        Ok(renewed)
    }
}
