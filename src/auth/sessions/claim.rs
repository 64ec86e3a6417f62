//! What a session says of its user, in Django's names.

use serde_json::Value;

use crate::models::UserId;
use django_auth::{SessionData, csrf};

/// Django's names in the session data.
pub const USER_ID: &str = "_auth_user_id";
const BACKEND: &str = "_auth_user_backend";
const HASH: &str = "_auth_user_hash";
/// Where `CSRF_USE_SESSIONS` is on.
const CSRF_SECRET: &str = "_csrftoken";
/// Django's default backend.
pub const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

/// Whose session it is, by what stands in it; not yet checked.
pub struct Claim {
    /// The text of a user's id.
    pub(super) user: String,
    /// The path of the backend that logged them in.
    pub(super) backend: String,
    pub(super) hash: String,
}

impl Claim {
    /// The claim in a session with those entries; `None` if there is none.
    pub fn of(entry: impl Fn(&str) -> Option<Value>) -> Option<Self> {
        let Value::String(backend) = entry(BACKEND)? else {
            return None;
        };
        let user = match entry(USER_ID)? {
            Value::String(text) => text,
            number => number.as_i64()?.to_string(),
        };
        let hash = match entry(HASH) {
            Some(Value::String(hash)) => hash,
            _ => String::new(),
        };
        Some(Self {
            user,
            backend,
            hash,
        })
    }
}

/// Marks the data as this user's, in Django's order of keys.
pub(super) fn set_user(data: &mut SessionData, user: &UserId, backend: &str, hash: &str) {
    data.insert(USER_ID, user.to_string());
    data.insert(BACKEND, backend);
    set_hash(data, hash);
}

pub(super) fn set_hash(data: &mut SessionData, hash: &str) {
    data.insert(HASH, hash);
}

/// As Django does at a login, in a session that has one.
pub(super) fn rotate_csrf_secret(data: &mut SessionData) {
    if data.contains_key(CSRF_SECRET) {
        data.insert(CSRF_SECRET, csrf::new_secret(&mut rand::rng()));
    }
}
