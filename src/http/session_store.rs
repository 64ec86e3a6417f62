//! actix-session's `SessionStore` over Django's `django_session`.
//!
//! It differs from the stores that come with actix-session in three ways. The
//! session that a login makes is written in the login's own transaction, with
//! its token; [`announce`] tells the store, which then only hands out the key.
//! `update` never inserts, so that a slow request cannot bring back a session
//! that was logged out. And a row that nobody can read is left alone.

use std::collections::HashMap;

use actix_session::storage::{
    LoadError, SaveError, SessionKey as StoreKey, SessionStore, UpdateError,
};
use actix_session::{Session, SessionInsertError};
use actix_web::cookie::time::Duration;

use crate::auth::session::{SessionRow, USER_ID};
use crate::auth::{Auth, SessionKey};
use crate::django::SessionData;

/// Entries that are ours, and are never stored. `:` keeps them apart from
/// names that a Django project would use.
const PREFIX: &str = "portcullis:";
const ROW: &str = "portcullis:row";
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

/// Whether the request's session has a row, readable or not.
pub fn has_row(session: &Session) -> bool {
    session.contains_key(ROW)
}

/// What the row holds.
pub fn data_of(session: &Session) -> SessionData {
    to_data(&session.entries())
}

impl SessionStore for DjangoSessionStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<State>, LoadError> {
        let Some(key) = SessionKey::parse(key.as_ref()) else {
            return Ok(None);
        };
        let row = self.auth.find_session(&key).await;
        let data = match row.map_err(|error| LoadError::Other(error.into()))? {
            SessionRow::Missing => return Ok(None),
            SessionRow::Undecodable => SessionData::new(),
            SessionRow::Live(data) => data,
        };
        let mut state: State = data
            .iter()
            .map(|(name, value)| (name.clone(), to_state(name, value)))
            .collect();
        state.insert(ROW.to_owned(), "true".to_owned());
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

    async fn update_ttl(&self, store_key: &StoreKey, _ttl: &Duration) -> anyhow::Result<()> {
        if let Some(key) = SessionKey::parse(store_key.as_ref()) {
            self.auth.extend_session(&key).await?;
        }
        Ok(())
    }

    async fn delete(&self, store_key: &StoreKey) -> anyhow::Result<()> {
        if let Some(key) = SessionKey::parse(store_key.as_ref()) {
            self.auth.delete_session(&key).await?;
        }
        Ok(())
    }
}

/// actix-identity reads the user id as a text; old Djangos wrote a number.
fn to_state(name: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Number(id) if name == USER_ID => format!("\"{id}\""),
        value => value.to_string(),
    }
}

fn to_data(state: &State) -> SessionData {
    state
        .iter()
        .filter(|(name, _)| !name.starts_with(PREFIX))
        .filter_map(|(name, text)| Some((name.clone(), serde_json::from_str(text).ok()?)))
        .collect()
}
