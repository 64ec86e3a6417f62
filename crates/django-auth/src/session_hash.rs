//! `_auth_user_hash`: a keyed hash over the stored password text, so every session of a
//! user ends when that text changes.

use subtle::ConstantTimeEq;

use crate::secret_key::SecretKeys;
use crate::signing::{SaltedHmac, SaltedHmacs};

// NEVER CHANGE: with another salt every running session would end.
const SALT: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";

/// How a session's hash fits the user's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashMatch {
    /// The user's password under the current key.
    Current,
    /// The same under an older key: Django rotates the session and updates the hash.
    Fallback,
    /// Neither: the session has ended.
    No,
}

/// Makes and checks session hashes, with keys derived once.
#[derive(Clone, Debug)]
pub struct SessionAuthHash {
    keys: SaltedHmacs,
}

impl SessionAuthHash {
    /// Hashes with the current key, accepts all of them.
    pub fn new(keys: &SecretKeys) -> Self {
        Self {
            keys: SaltedHmacs::new(SALT, keys),
        }
    }

    /// 64 lower-case hex digits over the password column's text.
    pub fn of(&self, encoded_password: &str) -> String {
        hex_digest(&self.keys.current, encoded_password)
    }

    /// The same under each key, the current one first.
    pub fn under_all_keys(&self, encoded_password: &str) -> Vec<String> {
        let keys = std::iter::once(&self.keys.current).chain(&self.keys.fallbacks);
        keys.map(|key| hex_digest(key, encoded_password)).collect()
    }

    /// Compares in constant time what a session presents.
    pub fn verify(&self, encoded_password: &str, presented: &str) -> HashMatch {
        self.verify_with(&self.of(encoded_password), encoded_password, presented)
    }

    /// The same, with the result of [`Self::of`].
    pub fn verify_with(&self, hash: &str, encoded_password: &str, presented: &str) -> HashMatch {
        let fits =
            |expected: &str| -> bool { expected.as_bytes().ct_eq(presented.as_bytes()).into() };
        let fits_old = |key: &SaltedHmac| fits(&hex_digest(key, encoded_password));
        if fits(hash) {
            HashMatch::Current
        } else if self.keys.fallbacks.iter().any(fits_old) {
            HashMatch::Fallback
        } else {
            HashMatch::No
        }
    }
}

fn hex_digest(key: &SaltedHmac, encoded_password: &str) -> String {
    let hex_digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    key.digest(encoded_password.as_bytes())
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(hex_digit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{self, KEY, keys};

    #[test]
    fn hashes_are_djangos() {
        let rows = vectors::rows("auth_hashes");
        assert_eq!(rows.len(), 4);
        let hasher = SessionAuthHash::new(&keys(KEY, &["another"]));

        for row in &rows {
            let stored = vectors::text(row, "stored_password");
            let expected = vectors::text(row, "_auth_user_hash");
            assert_eq!(hasher.of(stored), expected);
            assert_eq!(hasher.verify(stored, expected), HashMatch::Current);
        }
    }

    #[test]
    fn an_old_key_is_known_as_such() {
        let presented = SessionAuthHash::new(&keys("old", &[])).of("pw");
        let rotated = SessionAuthHash::new(&keys("new", &["older", "old"]));

        assert_eq!(rotated.verify("pw", &presented), HashMatch::Fallback);
        assert_eq!(
            SessionAuthHash::new(&keys("new", &[])).verify("pw", &presented),
            HashMatch::No
        );
    }

    #[test]
    fn another_password_or_text_does_not_match() {
        let hasher = SessionAuthHash::new(&keys(KEY, &["old"]));
        let hash = hasher.of("pw");

        assert_eq!(hasher.verify("pw2", &hash), HashMatch::No);
        for presented in ["", &hash[..63], &hash.to_uppercase(), &format!("{hash}0")] {
            assert_eq!(hasher.verify("pw", presented), HashMatch::No, "{presented}");
        }
    }
}
