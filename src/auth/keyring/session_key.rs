//! The session key as it stands in the cookie.

use rand::{CryptoRng, Rng};
use secrecy::{ExposeSecret, SecretString};

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 32;

/// Django's session key: 32 of `[a-z0-9]` (165 bits) if it is new.
#[derive(Clone)]
pub struct SessionKey(SecretString);

impl SessionKey {
    /// Takes what a client sent: Django reads keys of 8 characters and more, and the
    /// column holds 40. Only letters and digits, so never a digest.
    pub fn parse(text: &str) -> Option<Self> {
        let can_be =
            (8..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        can_be.then(|| Self(text.to_owned().into()))
    }

    /// A new key.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let text: String = (0..LENGTH)
            .filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len())))
            .map(|byte| char::from(*byte))
            .collect();
        Self(text.into())
    }

    /// The key itself, to be set as a cookie.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}
