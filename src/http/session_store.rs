//! actix-session's `SessionStore` over Django's `django_session`.
//!
//! It differs from the stores that come with actix-session in three ways. The
//! session that a login makes is written in the login's own transaction, with
//! its token; [`announce`] tells the store, which then only hands out the key.
//! `update` never inserts, so that a slow request cannot bring back a session
//! that was logged out. And a row that nobody can read is left alone.
//!
//! A database that does not answer is not an error of the store's: actix-session
//! would make a 500 of it. It is a mark in the state, and a 503 for whoever asks
//! whose session it is.

use std::collections::HashMap;

use actix_session::storage::{
    LoadError, SaveError, SessionKey as StoreKey, SessionStore, UpdateError,
};
use actix_session::{Session, SessionInsertError};
use actix_web::cookie::time::Duration;
use django_auth::SessionData;

use crate::auth::session::{Claim, USER_ID};
use crate::auth::{Auth, SessionKey};

/// Entries that are ours, and are never stored. `:` keeps them apart from
/// names that a Django project would use.
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

/// What is known of the row behind the session cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// There is one, readable or not.
    Found,
    /// There is none.
    Missing,
    /// The database did not answer.
    Unanswered,
}

/// What the look-up of the request's session gave.
pub fn row(session: &Session) -> Row {
    if session.contains_key(UNANSWERED) {
        Row::Unanswered
    } else if session.contains_key(ROW) {
        Row::Found
    } else {
        Row::Missing
    }
}

/// Whose session it says that it is.
pub fn claim(session: &Session) -> Option<Claim> {
    Claim::of(|name| session.get(name).ok().flatten())
}

impl SessionStore for DjangoSessionStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<State>, LoadError> {
        let Some(key) = SessionKey::parse(key.as_ref()) else {
            return Ok(None);
        };
        let session = match self.auth.find_session(&key).await {
            Ok(None) => return Ok(None),
            Ok(Some(session)) => session,
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                return Ok(Some(mark(UNANSWERED).into()));
            }
        };
        let mut state = State::from(mark(ROW));
        let entries = session.entries();
        state.extend(entries.map(|(name, value)| (name.to_owned(), to_state(name, value))));
        Ok(Some(state))
    }

    async fn save(&self, state: State, _ttl: &Duration) -> Result<StoreKey, SaveError> {
        let announced = state
            .get(ANNOUNCED)
            .and_then(|text| serde_json::from_str::<String>(text).ok())
            .and_then(|text| SessionKey::parse(&text));
        let key = match announced {
            Some(key) => key,
            None => {
                let stored = self.auth.create_session(to_data(&state)).await;
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
            let updated = self.auth.update_session(&key, &to_data(&state)).await;
            if !updated.map_err(|error| UpdateError::Other(error.into()))? {
                tracing::debug!("a session ended while a request was changing it");
            }
        }
        Ok(store_key)
    }

    /// Never asked for: a session's life is not extended by the middleware,
    /// with a write per request, but by [`Auth::find_session`].
    async fn update_ttl(&self, _key: &StoreKey, _ttl: &Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, store_key: &StoreKey) -> anyhow::Result<()> {
        if let Some(key) = SessionKey::parse(store_key.as_ref()) {
            self.auth.delete_session(&key).await?;
        }
        Ok(())
    }
}

fn mark(name: &str) -> [(String, String); 1] {
    [(name.to_owned(), "true".to_owned())]
}

/// actix-identity reads the user id as a text; old Djangos wrote a number.
fn to_state(name: &str, value: &str) -> String {
    let is_number = || value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match name {
        USER_ID if is_number() => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}

fn to_data(state: &State) -> SessionData {
    state
        .iter()
        .filter(|(name, _)| !name.starts_with(PREFIX))
        .filter_map(|(name, text)| Some((name.clone(), serde_json::from_str(text).ok()?)))
        .collect()
}
