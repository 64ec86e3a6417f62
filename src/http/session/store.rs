//! actix-session's `SessionStore` over Django's `django_session`.
//!
//! It differs from actix-session's own stores in four ways. A login writes its session in
//! its own transaction; [`announce`] tells the store, which then only hands out the key.
//! `update` never inserts, so that a slow request cannot bring back a session that was
//! logged out. An unreadable row is left alone. When the database does not answer, `load`
//! marks the state: an error would become actix-session's 500, and [`row`] makes it a
//! 503.

use std::collections::HashMap;

use actix_session::storage::{
    LoadError, SaveError, SessionKey as StoreKey, SessionStore, UpdateError,
};
use actix_session::{Session, SessionInsertError};
use actix_web::cookie::time::Duration;
use django_auth::SessionData;

use crate::auth::sessions::{Claim, USER_ID};
use crate::auth::{Auth, SessionKey};

/// Entries of our own, never stored. `:` keeps them apart from Django's names.
const PREFIX: &str = "portcullis:";
const ROW: &str = "portcullis:row";
const UNANSWERED: &str = "portcullis:unanswered";
const ANNOUNCED: &str = "portcullis:key";

/// actix-session's state: each value is a JSON text.
type State = HashMap<String, String>;

/// The store.
#[derive(Clone)]
pub struct DjangoSessionStore {
    auth: Auth,
}

impl DjangoSessionStore {
    /// A store whose sessions are those of `auth`.
    pub fn new(auth: Auth) -> Self {
        Self { auth }
    }
}

/// Tells the store that the session of that key is stored already.
pub fn announce(session: &Session, key: &SessionKey) -> Result<(), SessionInsertError> {
    session.insert(ANNOUNCED, key.expose())
}

/// The row behind the session cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// There is one, readable or not.
    Found,
    /// There is none.
    Missing,
    /// The database did not answer.
    Unanswered,
}

/// What `load` found.
pub fn row(session: &Session) -> Row {
    if session.contains_key(UNANSWERED) {
        Row::Unanswered
    } else if session.contains_key(ROW) {
        Row::Found
    } else {
        Row::Missing
    }
}

/// The user whom the session names.
pub fn claim(session: &Session) -> Option<Claim> {
    Claim::of(|name| session.get(name).ok().flatten())
}

impl SessionStore for DjangoSessionStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<State>, LoadError> {
        let Some(key) = SessionKey::parse(key.as_ref()) else {
            return Ok(None);
        };
        let session = match self.auth.sessions.find(&key).await {
            Ok(None) => return Ok(None),
            Ok(Some(session)) => session,
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                return Ok(Some(mark(UNANSWERED).into()));
            }
        };
        let entries = session.iter();
        let entries = entries.map(|(name, value)| (name.to_owned(), to_state(name, value)));
        Ok(Some(entries.chain(mark(ROW)).collect()))
    }

    async fn save(&self, state: State, _ttl: &Duration) -> Result<StoreKey, SaveError> {
        let announced = state.get(ANNOUNCED);
        let announced = announced.and_then(|text| serde_json::from_str::<String>(text).ok());
        let announced = announced.and_then(|text| SessionKey::parse(&text));
        let key = match announced {
            Some(key) => key,
            None => {
                let stored = self.auth.sessions.create(to_data(&state)).await;
                stored.map_err(|error| SaveError::Other(error.into()))?
            }
        };
        StoreKey::try_from(key.expose().to_owned()).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        store_key: StoreKey,
        state: State,
        _ttl: &Duration,
    ) -> Result<StoreKey, UpdateError> {
        if let Some(key) = SessionKey::parse(store_key.as_ref()) {
            let updated = self.auth.sessions.update(&key, &to_data(&state)).await;
            if !updated.map_err(|error| UpdateError::Other(error.into()))? {
                tracing::debug!("a session ended while a request was changing it");
            }
        }
        Ok(store_key)
    }

    /// Never called: `Sessions::find` prolongs sessions, without a write for each
    /// request.
    async fn update_ttl(&self, _key: &StoreKey, _ttl: &Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, store_key: &StoreKey) -> anyhow::Result<()> {
        if let Some(key) = SessionKey::parse(store_key.as_ref()) {
            self.auth.sessions.delete(&key).await?;
        }
        Ok(())
    }
}

fn mark(name: &str) -> [(String, String); 1] {
    [(name.to_owned(), "true".to_owned())]
}

/// actix-identity reads the user id as a text; old Djangos wrote a number.
fn to_state(name: &str, value: &str) -> String {
    if name == USER_ID && value.bytes().all(|b| b.is_ascii_digit()) {
        return format!("\"{value}\"");
    }
    value.to_owned()
}

fn to_data(state: &State) -> SessionData {
    let mut data = SessionData::new();
    for (name, value) in state.iter().filter(|(name, _)| !name.starts_with(PREFIX)) {
        data.insert_json(name.clone(), value.clone());
    }
    data
}
