//! Django's `django.core.signing`: keyed hashes, base64 without padding, base62.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::digest::{Key, KeyInit};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::secret_key::{SecretKey, SecretKeys};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// HMAC-SHA256 under `SHA256(salt ‖ secret key)`, Django's `salted_hmac`.
///
/// The salt names the purpose: a value signed for one is invalid for another. Holds
/// the state after the key went in, which saves hashing the key for each digest.
#[derive(Clone)]
pub struct SaltedHmac {
    keyed: Hmac<Sha256>,
}

impl SaltedHmac {
    /// Derives the key of one purpose from the secret key.
    pub fn new(salt: &str, key: &SecretKey) -> Self {
        let derived = Sha256::new()
            .chain_update(salt)
            .chain_update(key.expose_bytes())
            .finalize();
        // HMAC pads a key with zeros to a block; doing so here spares an error that
        // cannot happen.
        let mut block = Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(derived) {
            *to = from;
        }
        Self {
            keyed: <Hmac<Sha256> as KeyInit>::new(&block),
        }
    }

    /// The 32 bytes for `value`.
    pub fn digest(&self, value: &[u8]) -> [u8; 32] {
        let hmac = self.keyed.clone().chain_update(value);
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SaltedHmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedHmac")
    }
}

/// The keyed hash of one purpose under every accepted secret key.
#[derive(Clone, Debug)]
pub struct SaltedHmacs {
    /// Under the key that signs.
    pub current: SaltedHmac,
    /// Under the older keys, in the order in which they are tried.
    pub fallbacks: Vec<SaltedHmac>,
}

impl SaltedHmacs {
    /// Derives the keys of one purpose from all secret keys.
    pub fn new(salt: &str, keys: &SecretKeys) -> Self {
        let derive = |key| SaltedHmac::new(salt, key);
        Self {
            current: derive(keys.current()),
            fallbacks: keys.fallbacks().iter().map(derive).collect(),
        }
    }
}

/// URL-safe base64 without `=`.
pub fn base64_encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The reverse of [`base64_encode`]; `None` for anything that it never writes.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A whole number in base 62 (`0-9A-Za-z`), `-` first when it is negative.
pub fn base62_encode(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::with_capacity(12);
    loop {
        let digit = usize::try_from(rest % 62).ok();
        digits.extend(digit.and_then(|digit| BASE62.get(digit)));
        rest /= 62;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push(b'-');
    }
    digits.iter().rev().copied().map(char::from).collect()
}

/// Whether `text` is a number as [`base62_encode`] writes it.
pub fn is_base62(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::vectors;

    #[test]
    fn base62_is_djangos() {
        let vectors = vectors::load();
        let pairs = vectors["derivation"]["base62"].as_array().unwrap();
        assert!(pairs.len() >= 7);

        for pair in pairs {
            let written = pair[1].as_str().unwrap();
            assert_eq!(base62_encode(pair[0].as_i64().unwrap()), written);
            assert!(is_base62(written));
        }
        assert_eq!(base62_encode(-62), "-10");
        assert_eq!(base62_encode(i64::MIN), "-AzL8n0Y58m8");
    }

    #[test]
    fn what_is_not_base62_is_refused() {
        for text in ["", "-", "--1", "1 ", "é", "1.0", "1:2"] {
            assert!(!is_base62(text), "{text:?}");
        }
    }

    #[test]
    fn the_derived_key_is_djangos() {
        let vectors = vectors::load();
        let salt = vectors["derivation"]["auth_hash_salt"].as_str().unwrap();
        let row = &vectors["auth_hashes"][0];

        let digest = SaltedHmac::new(salt, &SecretKey::new(vectors::KEY.to_owned()))
            .digest(vectors::text(row, "stored_password").as_bytes());

        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(row["_auth_user_hash"], Value::String(hex));
    }

    #[test]
    fn debug_shows_no_key() {
        let hmac = SaltedHmac::new("salt", &SecretKey::new("secret".to_owned()));

        assert_eq!(format!("{hmac:?}"), "SaltedHmac");
    }
}
