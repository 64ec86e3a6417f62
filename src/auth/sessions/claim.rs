//! What a session says of its user, in Django's names.

use serde_json::Value;

use crate::models::UserId;
use django_auth::SessionData;

/// Django's names in the session data.
pub const USER_ID: &str = "_auth_user_id";
const BACKEND: &str = "_auth_user_backend";
const HASH: &str = "_auth_user_hash";
const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

/// Whose session it is, by what stands in it; not yet checked.
pub struct Claim {
    /// The text of a user's id.
    pub(super) user: String,
    pub(super) hash: String,
}

impl Claim {
    /// The claim in a session with those entries; `None` if there is none, or if it was
    /// not Django's own backend that put it there.
    pub fn of(entry: impl Fn(&str) -> Option<Value>) -> Option<Self> {
        if entry(BACKEND)? != MODEL_BACKEND {
            return None;
        }
        let user = match entry(USER_ID)? {
            Value::String(text) => text,
            number => number.as_i64()?.to_string(),
        };
        let hash = match entry(HASH) {
            Some(Value::String(hash)) => hash,
            _ => String::new(),
        };
        Some(Self { user, hash })
    }
}

/// The backend that put the user there, unless it is Django's own.
pub fn other_backend(data: &SessionData) -> Option<String> {
    let backend = data.get(BACKEND)?.as_str()?;
    (backend != MODEL_BACKEND).then(|| backend.to_owned())
}

/// Marks the data as this user's, in Django's order of keys.
pub(super) fn set_user(data: &mut SessionData, user: &UserId, hash: &str) {
    data.insert(USER_ID.to_owned(), Value::String(user.to_string()));
    data.insert(BACKEND.to_owned(), Value::String(MODEL_BACKEND.to_owned()));
    data.insert(HASH.to_owned(), Value::String(hash.to_owned()));
}
