//! The names of accounts in the counters.

use django_auth::SecretKeys;
use hmac::Mac;
use unicode_normalization::UnicodeNormalization;

use crate::auth::keyring::{HmacSha256, derived_key};
use crate::models::attempt::account_of;
use crate::models::user::User;

/// Keeps this use of the secret key apart from every other.
const NAME_PURPOSE: &[u8] = b"portcullis.throttle.name";

/// Names an account: by the user's id, or by a digest of a name that no user has.
/// People type their password there, so the name itself is not stored.
#[derive(Clone)]
pub(super) struct Accounts(Option<HmacSha256>);

impl Accounts {
    pub(super) fn new(secrets: &SecretKeys) -> Self {
        Self(derived_key(secrets.current(), NAME_PURPOSE))
    }

    pub(super) fn name(&self, user: Option<&User>, name: Option<&str>) -> String {
        match user {
            Some(user) => account_of(&user.id),
            None => format!("~{}", self.digest(name.unwrap_or_default())),
        }
    }

    /// Names that a person would take for the same have the same digest.
    fn digest(&self, name: &str) -> String {
        // The length comes first: normalising a long text is slow.
        let short: String = name.chars().take(200).collect();
        let normal: String = short.trim().nfkc().flat_map(char::to_lowercase).collect();
        let Some(mut mac) = self.0.clone() else {
            return String::new();
        };
        mac.update(normal.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}
