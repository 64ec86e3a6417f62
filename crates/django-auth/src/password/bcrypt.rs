//! `bcrypt_sha256$$2b$<cost>$<salt><hash>`, and plain `bcrypt$$2b$…`.
//!
//! The first takes passwords of any length: it gives bcrypt the 64 hex digits of their
//! SHA-256. `$2a$`, `$2x$` and `$2y$` are computed like `$2b$`, as in Python.

use std::borrow::Cow;

use bcrypt::{HashParts, Version};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::encoded::{after_name, same};
use super::work::{Family, Work, count};

/// Django's rounds, a power of two.
pub(super) const DEFAULT_COST: u32 = 12;
/// What the algorithm allows.
pub(super) const MIN_COST: u32 = 4;
/// 32 times the default: about 8 s. Higher ones are refused.
pub(super) const MAX_COST: u32 = 17;
/// Bytes that bcrypt looks at; what comes after is without effect.
pub(super) const MAX_PASSWORD_BYTES: usize = 72;

/// A password column's text, taken apart.
pub(super) struct Stored {
    algorithm: Algorithm,
    parts: HashParts,
}

impl Stored {
    /// `None` if the text is malformed, or costs more than we do.
    pub(super) fn parse(algorithm: Algorithm, encoded: &str) -> Option<Self> {
        let text = after_name(algorithm.name(), encoded)?;
        // The crate would read a cost of `+4` as well.
        let cost = text.get(4..6)?;
        if !cost.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let parts: HashParts = text.parse().ok()?;
        (MIN_COST..=MAX_COST)
            .contains(&parts.get_cost())
            .then_some(Self { algorithm, parts })
    }

    /// A made-up one of that cost; `None` if the cost is not allowed.
    pub(super) fn made_up(cost: u32) -> Option<Self> {
        let text = format!("$2b${cost:02}${}", ".".repeat(53));
        Some(Self {
            algorithm: Algorithm::BcryptSha256,
            parts: text.parse().ok()?,
        })
    }

    /// Refuses passwords over 72 bytes, after the work: half a password must not log
    /// anybody in. Django (with bcrypt 5) raises.
    pub(super) fn verify(&self, password: &str) -> bool {
        let whole = is_taken_whole(self.algorithm, password);
        let fits = self.compute(password).is_some_and(|computed| {
            let [computed, stored] =
                [&computed, &self.parts].map(|parts| parts.format_for_version(Version::TwoB));
            same(computed.as_bytes(), stored.as_bytes())
        });
        whole && fits
    }

    /// Django's rule: higher costs are outdated too.
    pub(super) fn is_outdated(&self, work: Work) -> bool {
        self.work() != work
    }

    /// What a check takes.
    pub(super) fn work(&self) -> Work {
        work(self.parts.get_cost())
    }

    fn compute(&self, password: &str) -> Option<HashParts> {
        let input = input(self.algorithm, password);
        hash(&input, self.parts.get_cost(), self.parts.get_salt_raw())
    }
}

/// The rounds of that cost.
pub(super) fn work(cost: u32) -> Work {
    Work {
        family: Family::Bcrypt,
        amount: 1_u64.checked_shl(cost).unwrap_or(u64::MAX),
    }
}

/// The text for the column, of a password that [`is_taken_whole`]; `None` if the cost
/// is not allowed.
pub(super) fn encode(
    algorithm: Algorithm,
    password: &str,
    salt: [u8; 16],
    cost: u32,
) -> Option<String> {
    let parts = hash(&input(algorithm, password), cost, salt)?;
    let text = parts.format_for_version(Version::TwoB);
    Some(format!("{algorithm}${text}"))
}

fn hash(input: &[u8], cost: u32, salt: [u8; 16]) -> Option<HashParts> {
    count(|| work(cost));
    bcrypt::hash_with_salt(input, cost, salt).ok()
}

/// Whether bcrypt looks at all of the password.
pub(super) fn is_taken_whole(algorithm: Algorithm, password: &str) -> bool {
    algorithm == Algorithm::BcryptSha256 || password.len() <= MAX_PASSWORD_BYTES
}

fn input(algorithm: Algorithm, password: &str) -> Cow<'_, [u8]> {
    if algorithm == Algorithm::BcryptSha256 {
        // Hex, because bcrypt treats a NUL byte as an end.
        let digest = Sha256::digest(password);
        Cow::Owned(format!("{digest:x}").into_bytes())
    } else {
        Cow::Borrowed(password.as_bytes())
    }
}
