//! Tokens that Django made: kept encrypted, so that they can be given again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use django_auth::SecretKeys;
use rand::{CryptoRng, Rng};
use secrecy::{ExposeSecret, SecretString};

use super::derived::derived_bytes;
use super::token::Token;

/// NEVER CHANGE: every token that was adopted would be replaced at the next login.
const PURPOSE: &[u8] = b"portcullis.token.adopted";
const NONCE_BYTES: usize = 24;

/// One cipher for each secret key, the current one first. The row key is the associated
/// data, so that nobody can move a token to another row.
#[derive(Clone)]
pub(super) struct Ciphers(Vec<XChaCha20Poly1305>);

impl Ciphers {
    pub(super) fn new(secrets: &SecretKeys) -> Self {
        let bytes = secrets
            .iter()
            .filter_map(|secret| derived_bytes(secret, PURPOSE));
        let cipher = |bytes: [u8; 32]| XChaCha20Poly1305::new(Key::from_slice(&bytes));
        Self(bytes.map(cipher).collect())
    }

    /// Base64 of a nonce and the encrypted token.
    pub(super) fn encrypt(
        &self,
        token: &Token,
        row_key: &str,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<String> {
        let nonce: [u8; NONCE_BYTES] = rng.random();
        let payload = Payload {
            msg: token.expose().as_bytes(),
            aad: row_key.as_bytes(),
        };
        let encrypted = self
            .0
            .first()?
            .encrypt(XNonce::from_slice(&nonce), payload)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &encrypted].concat()))
    }

    /// The token, if any of the keys encrypted it for that row, and whether it was the
    /// current one.
    pub(super) fn decrypt(&self, encrypted: &str, row_key: &str) -> Option<(Token, bool)> {
        let bytes = URL_SAFE_NO_PAD.decode(encrypted).ok()?;
        let (nonce, msg) = bytes.split_at_checked(NONCE_BYTES)?;
        let aad = row_key.as_bytes();
        let open = |(number, cipher): (usize, &XChaCha20Poly1305)| {
            let text = cipher
                .decrypt(XNonce::from_slice(nonce), Payload { msg, aad })
                .ok()?;
            Some((text, number))
        };
        let (text, number) = self.0.iter().enumerate().find_map(open)?;
        let text = SecretString::from(String::from_utf8(text).ok()?);
        Some((Token::parse(text.expose_secret())?, number == 0))
    }
}
