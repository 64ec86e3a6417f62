//! The hash algorithms, by Django's names.

use std::fmt;

/// A password hash algorithm of Django; not MD5 and the unsalted ones, which it
/// does not enable either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// PBKDF2 with HMAC-SHA256, Django's default.
    Pbkdf2Sha256,
    /// PBKDF2 with HMAC-SHA1.
    Pbkdf2Sha1,
    /// Argon2; new hashes are Argon2id.
    Argon2,
    /// bcrypt over the hex digits of the password's SHA-256.
    BcryptSha256,
    /// bcrypt over the password itself, at most 72 bytes of it.
    Bcrypt,
    /// scrypt.
    Scrypt,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pbkdf2Sha256,
        Self::Pbkdf2Sha1,
        Self::Argon2,
        Self::BcryptSha256,
        Self::Bcrypt,
        Self::Scrypt,
    ];

    /// What stands before the first `$`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pbkdf2Sha256 => "pbkdf2_sha256",
            Self::Pbkdf2Sha1 => "pbkdf2_sha1",
            Self::Argon2 => "argon2",
            Self::BcryptSha256 => "bcrypt_sha256",
            Self::Bcrypt => "bcrypt",
            Self::Scrypt => "scrypt",
        }
    }

    /// The reverse of [`Algorithm::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.name() == name)
    }
}

/// The algorithm that a column's text names, if it is known; the rest may be corrupt.
pub fn algorithm_of(encoded: &str) -> Option<Algorithm> {
    Algorithm::from_name(encoded.split('$').next()?)
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
