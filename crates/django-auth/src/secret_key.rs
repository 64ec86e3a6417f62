//! Django's `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// One secret key: wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey(SecretString);

impl SecretKey {
    /// Takes any text; the settings judge its strength.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text in UTF-8, to derive other keys from.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

/// The key that signs, and the older ones that are still accepted.
#[derive(Clone, Debug)]
pub struct SecretKeys {
    current: SecretKey,
    fallbacks: Vec<SecretKey>,
}

impl SecretKeys {
    /// `fallbacks` are tried in the order given, after `current`.
    pub fn new(current: SecretKey, fallbacks: Vec<SecretKey>) -> Self {
        Self { current, fallbacks }
    }

    /// The key that everything new is signed with.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// The older keys that are still accepted.
    pub fn fallbacks(&self) -> &[SecretKey] {
        &self.fallbacks
    }

    /// All keys that are accepted, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.fallbacks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let keys = SecretKeys::new(
            SecretKey::new("new-and-secret".to_owned()),
            vec![SecretKey::new("old-and-secret".to_owned())],
        );

        let shown = format!("{keys:?}");

        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(format!("{:?}", keys.current()), "SecretKey");
    }

    #[test]
    fn the_current_key_comes_first() {
        let key = |text: &str| SecretKey::new(text.to_owned());
        let keys = SecretKeys::new(key("a"), vec![key("b"), key("c")]);

        let order: Vec<&[u8]> = keys.iter().map(SecretKey::expose_bytes).collect();

        assert_eq!(order, [b"a", b"b", b"c"]);
        assert_eq!(keys.current().expose_bytes(), b"a");
    }
}
