//! Sealed keys: what the database holds instead of tokens and session keys.
//!
//! ```text
//! token on the wire   = selector (16 hex) + verifier (24 hex)
//! verifier            = first 24 hex of HMAC-SHA256(k_token, user_id | selector)
//! row key             = "$" + base64url(selector + SHA-256(wire token)[..21])    40 chars
//! session row key     = "$" + first 39 characters of base64url(SHA-256(wire key))
//! ```
//!
//! The selector is random and the verifier is not stored, so a stolen database holds
//! nothing that can be presented; but who has the secret key can make the same token
//! again from its row, which keeps DRF's one token a user.
//!
//! NEVER CHANGE the formats or `TOKEN_PURPOSE`: every token out there would be void.

mod adopted;
mod derived;
mod session_key;
mod token;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use django_auth::SecretKeys;
use hmac::Mac;
use rand::{CryptoRng, Rng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::adopted::Ciphers;
pub(super) use self::derived::{HmacSha256, derived_key};
use crate::models::{RowKeys, UserId};

pub use self::session_key::SessionKey;
pub use self::token::Token;

/// Keeps this use of the secret key apart from every other.
const TOKEN_PURPOSE: &[u8] = b"portcullis.token.verifier";
const SELECTOR_BYTES: usize = 8;
const DIGEST_BYTES: usize = 21;
const VERIFIER_HEX: usize = 24;

/// How keys are kept in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As digests: nothing in the database can be used to log in.
    Sealed,
    /// As plaintext, which Django expects where it shares the tables.
    Django,
}

/// Makes keys, and turns them into what the database holds; cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    storage: Storage,
    /// `k_token` of the current secret key, then of the fallbacks, keyed.
    token_keys: Arc<[HmacSha256]>,
    ciphers: Ciphers,
}

impl Keyring {
    /// Derives the keys once; look-ups then cost one hash.
    pub fn new(storage: Storage, secrets: &SecretKeys) -> Self {
        let token_key = |secret| derived_key(secret, TOKEN_PURPOSE);
        Self {
            storage,
            token_keys: secrets.iter().filter_map(token_key).collect(),
            ciphers: Ciphers::new(secrets),
        }
    }

    /// Whether the database holds digests.
    pub fn is_sealed(&self) -> bool {
        self.storage == Storage::Sealed
    }

    /// A new token for that user.
    pub fn new_token(&self, user: &UserId, rng: &mut (impl CryptoRng + ?Sized)) -> Token {
        let selector: [u8; SELECTOR_BYTES] = rng.random();
        match (self.storage, self.token_keys.first()) {
            (Storage::Sealed, Some(key)) => wire_token(key, user, &selector),
            // DRF's: 20 random bytes.
            _ => Token::new(hex(&rng.random::<[u8; 20]>())),
        }
    }

    /// The primary key under which that token's row stands.
    pub fn token_row_key(&self, token: &Token) -> String {
        match self.storage {
            Storage::Sealed => seal_token(token.expose()),
            Storage::Django => token.expose().to_owned(),
        }
    }

    /// The primary keys under which that token's row may stand: in this storage, or still
    /// in the other.
    pub fn token_row_keys(&self, token: &Token) -> RowKeys {
        self.row_keys(seal_token(token.expose()), token.expose())
    }

    fn row_keys(&self, sealed: String, plaintext: &str) -> RowKeys {
        let plaintext = plaintext.to_owned();
        let (key, or_else) = match self.storage {
            Storage::Sealed => (sealed, plaintext),
            Storage::Django => (plaintext, sealed),
        };
        RowKeys { key, or_else }
    }

    /// What is stored of a token that Django made beside its sealed row; `None` without a
    /// secret key.
    pub fn encrypt(&self, token: &Token) -> Option<String> {
        let row_key = seal_token(token.expose());
        self.ciphers.encrypt(token, &row_key, &mut rand::rng())
    }

    /// The reverse of [`Self::encrypt`], for the row of that key, and whether the current
    /// secret key encrypted it.
    pub fn decrypt(&self, encrypted: &str, row_key: &str) -> Option<(Token, bool)> {
        self.ciphers.decrypt(encrypted, row_key)
    }

    /// The token whose row has that primary key, if it is plaintext or can be made again:
    /// by any of the secret keys, and only for the user it was made for.
    pub fn recover_token(&self, user: &UserId, row_key: &str) -> Option<Token> {
        let Some(sealed) = row_key.strip_prefix('$') else {
            return Token::parse(row_key);
        };
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let selector: [u8; SELECTOR_BYTES] = bytes.get(..SELECTOR_BYTES)?.try_into().ok()?;
        self.token_keys
            .iter()
            .map(|key| wire_token(key, user, &selector))
            .find(|token| {
                let made = seal_token(token.expose());
                made.as_bytes().ct_eq(row_key.as_bytes()).into()
            })
    }

    /// The primary keys under which that session's row may stand.
    pub fn session_row_keys(&self, key: &SessionKey) -> RowKeys {
        self.row_keys(seal_session(key.expose()), key.expose())
    }

    /// The primary key under which that session's row stands.
    pub fn session_row_key(&self, key: &SessionKey) -> String {
        match self.storage {
            Storage::Sealed => seal_session(key.expose()),
            Storage::Django => key.expose().to_owned(),
        }
    }
}

/// What seals the plaintext row key of a token.
pub(super) fn seal_token(wire: &str) -> String {
    let digest = Sha256::digest(wire.as_bytes());
    let mut bytes = [0; SELECTOR_BYTES + DIGEST_BYTES];
    let (selector, rest) = bytes.split_at_mut(SELECTOR_BYTES);
    // One that we did not make is sealed too, with whatever it starts with as the
    // selector.
    for (byte, pair) in selector.iter_mut().zip(wire.as_bytes().chunks_exact(2)) {
        let digit = |c: Option<&u8>| c.and_then(|c| char::from(*c).to_digit(16)).unwrap_or(0);
        *byte = u8::try_from(digit(pair.first()) * 16 + digit(pair.get(1))).unwrap_or(0);
    }
    for (byte, from) in rest.iter_mut().zip(digest) {
        *byte = from;
    }
    format!("${}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What seals the plaintext row key of a session.
pub(super) fn seal_session(wire: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(wire.as_bytes()));
    text.truncate(39);
    format!("${text}")
}

fn wire_token(key: &HmacSha256, user: &UserId, selector: &[u8; SELECTOR_BYTES]) -> Token {
    let selector = hex(selector);
    let mut mac = key.clone();
    mac.update(format!("{user}|{selector}").as_bytes());
    let mut text = selector;
    text.extend(hex(&mac.finalize().into_bytes()).chars().take(VERIFIER_HEX));
    Token::new(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use django_auth::SecretKey;

    use super::*;

    fn keyring(storage: Storage, keys: &[&str]) -> Keyring {
        let mut keys = keys.iter().map(|key| SecretKey::new((*key).to_owned()));
        let current = keys.next().unwrap();
        Keyring::new(storage, &SecretKeys::new(current, keys.collect()))
    }

    #[test]
    fn a_token_is_40_hex_and_its_row_key_40_characters_that_do_not_hold_it() {
        let keyring = keyring(Storage::Sealed, &["k"]);
        let token = keyring.new_token(&UserId::Integer(7), &mut rand::rng());
        let row = keyring.token_row_key(&token);

        assert_eq!(token.expose().len(), 40);
        assert!(token.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(row.len(), 40);
        assert!(row.starts_with('$'));
        assert!(Token::parse(&row).is_none());
    }

    #[test]
    fn only_the_same_secret_and_user_make_a_token_again() {
        let old = keyring(Storage::Sealed, &["old"]);
        let token = old.new_token(&UserId::Integer(7), &mut rand::rng());
        let row = old.token_row_key(&token);
        let again = |keyring: Keyring, user| {
            keyring
                .recover_token(&UserId::Integer(user), &row)
                .map(|token| token.expose().to_owned())
        };

        let same = Some(token.expose().to_owned());
        assert_eq!(again(keyring(Storage::Sealed, &["old"]), 7), same);
        assert_eq!(again(keyring(Storage::Sealed, &["new", "old"]), 7), same);
        assert_eq!(again(keyring(Storage::Sealed, &["new"]), 7), None);
        assert_eq!(again(keyring(Storage::Sealed, &["old"]), 8), None);
    }

    #[test]
    fn a_session_row_key_follows_the_published_formula() {
        // Computed by Python: "$" + urlsafe_b64encode(sha256(key))[:39]
        let key = SessionKey::parse("abcdefghijklmnopqrstuvwxyz012345").unwrap();
        assert_eq!(
            keyring(Storage::Sealed, &["k"]).session_row_key(&key),
            "$ZTuxJF6Cj82k-lP81aPe9b12VOZR9UtBMrc9dOZ"
        );
    }

    proptest! {
        #[test]
        fn any_row_key_is_read_without_a_panic(row in ".*") {
            let _ = keyring(Storage::Sealed, &["k"]).recover_token(&UserId::Integer(1), &row);
        }

        #[test]
        fn sealing_takes_any_text_to_40_characters(text in "[!-~]{1,40}") {
            prop_assert_eq!(seal_token(&text).len(), 40);
            prop_assert_eq!(seal_session(&text).len(), 40);
        }

        #[test]
        fn sealed_tokens_come_back(user: i64) {
            let keyring = keyring(Storage::Sealed, &["k"]);
            let token = keyring.new_token(&UserId::Integer(user), &mut rand::rng());
            let again = keyring.recover_token(&UserId::Integer(user), &keyring.token_row_key(&token));
            let again = again.map(|token| token.expose().to_owned());
            prop_assert_eq!(again.as_deref(), Some(token.expose()));
        }
    }
}
