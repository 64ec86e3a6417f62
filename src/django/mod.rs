//! Django's own formats, as pure functions: no I/O, no HTTP, no database.
//!
//! What stands in a `django_session` row, in a `csrftoken` cookie and in
//! `_auth_user_hash` is written and read here exactly as Django 5.2 does it, so
//! that both can serve one database. The facts are checked against what the
//! real Django wrote (`tests/vectors/django.json`).
//!
//! Passwords are not here: see [`crate::auth::password`].

pub mod csrf;
pub mod json;
pub mod random;
pub mod secret_key;
pub mod session_data;
pub mod session_hash;
pub mod signing;
#[cfg(test)]
pub(crate) mod vectors;

pub use secret_key::{SecretKey, SecretKeys};
pub use session_data::{DecodeError, SessionCodec, SessionData};
pub use session_hash::{HashMatch, SessionAuthHash};
