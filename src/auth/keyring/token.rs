//! The API token as it stands on the wire.

use secrecy::{ExposeSecret, SecretString};

/// Longest key that the column holds.
const MAX_LENGTH: usize = 40;

/// What follows `Authorization: Token`: 40 hex digits if we made it.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// Takes what a client sent, if it can be a key. What starts with `$` is a digest
    /// from a database.
    pub fn parse(text: &str) -> Option<Self> {
        let can_be = !text.is_empty()
            && text.len() <= MAX_LENGTH
            && !text.starts_with('$')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        can_be.then(|| Self(text.to_owned().into()))
    }

    pub(super) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The key itself, to be sent to its owner.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}
