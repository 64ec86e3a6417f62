//! A password column's text, taken apart: what can be checked against.

use super::algorithm::{Algorithm, algorithm_of};
use super::work::{Family, Work, by_doublings};
use super::{argon2, bcrypt, encoded, pbkdf2, scrypt};

/// A hash of any algorithm, stored or made up.
pub(super) enum Stored<'a> {
    Pbkdf2(pbkdf2::Stored<'a>),
    Argon2(argon2::Stored),
    Bcrypt(bcrypt::Stored),
    Scrypt(scrypt::Stored<'a>),
}

impl<'a> Stored<'a> {
    /// `None` if the hash is unknown, corrupt, or costs more than we do.
    pub(super) fn parse(encoded: &'a str) -> Option<Self> {
        if encoded.len() > encoded::MAX_LENGTH {
            return None;
        }
        let algorithm = algorithm_of(encoded)?;
        Some(match algorithm {
            Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => {
                Self::Pbkdf2(pbkdf2::Stored::parse(algorithm, encoded)?)
            }
            Algorithm::Argon2 => Self::Argon2(argon2::Stored::parse(encoded)?),
            Algorithm::BcryptSha256 | Algorithm::Bcrypt => {
                Self::Bcrypt(bcrypt::Stored::parse(algorithm, encoded)?)
            }
            Algorithm::Scrypt => Self::Scrypt(scrypt::Stored::parse(encoded)?),
        })
    }

    /// Made-up hashes that are so much work together.
    pub(super) fn made_up(work: Work, into: &mut Vec<Self>) {
        let amount = work.amount;
        match work.family {
            Family::Pbkdf2Sha256 => into
                .extend(pbkdf2::Stored::made_up(Algorithm::Pbkdf2Sha256, amount).map(Self::Pbkdf2)),
            Family::Pbkdf2Sha1 => into
                .extend(pbkdf2::Stored::made_up(Algorithm::Pbkdf2Sha1, amount).map(Self::Pbkdf2)),
            Family::Bcrypt => by_doublings(amount, |cost| {
                into.extend(bcrypt::Stored::made_up(cost).map(Self::Bcrypt));
            }),
            Family::Argon2(shape) => {
                into.extend(argon2::Stored::made_up(shape, amount).map(Self::Argon2));
            }
            Family::Scrypt(shape) => by_doublings(amount, |log_n| {
                into.extend(scrypt::Stored::made_up(shape, log_n).map(Self::Scrypt));
            }),
        }
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        match self {
            Self::Pbkdf2(stored) => stored.verify(password),
            Self::Argon2(stored) => stored.verify(password),
            Self::Bcrypt(stored) => stored.verify(password),
            Self::Scrypt(stored) => stored.verify(password),
        }
    }

    /// By Django's rule, if this algorithm with so much work is preferred.
    pub(super) fn is_outdated(&self, work: Work) -> bool {
        match self {
            Self::Pbkdf2(stored) => stored.is_outdated(work),
            Self::Argon2(stored) => stored.is_outdated(work),
            Self::Bcrypt(stored) => stored.is_outdated(work),
            Self::Scrypt(stored) => stored.is_outdated(work),
        }
    }

    /// What a check takes.
    pub(super) fn work(&self) -> Work {
        match self {
            Self::Pbkdf2(stored) => stored.work(),
            Self::Argon2(stored) => stored.work(),
            Self::Bcrypt(stored) => stored.work(),
            Self::Scrypt(stored) => stored.work(),
        }
    }
}
