//! `pbkdf2_sha256$<iterations>$<salt>$<base64>`, and the same with `sha1`.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::Sha1;

use super::algorithm::Algorithm;
use super::encoded::{after_name, decimal, is_short_salt, same};
use super::pbkdf2_sha256;
use super::work::{Family, Work, count};

/// Django 5.2's iterations, for both digests; 6.1 has 1,500,000.
pub(super) const DEFAULT_ITERATIONS: u32 = 1_000_000;

/// More are refused: about 10 s on a slow core.
pub(super) const MAX_ITERATIONS: u32 = 20_000_000;

/// A password column's text, taken apart.
pub(super) struct Stored<'a> {
    algorithm: Algorithm,
    iterations: u32,
    salt: &'a str,
    hash: &'a str,
}

impl<'a> Stored<'a> {
    /// `None` if the text is malformed, or costs more than we do.
    pub(super) fn parse(algorithm: Algorithm, encoded: &'a str) -> Option<Self> {
        let mut fields = after_name(algorithm.name(), encoded)?.splitn(3, '$');
        let stored = Self {
            algorithm,
            iterations: decimal(fields.next()?)?,
            salt: fields.next()?,
            hash: fields.next()?,
        };
        let affordable = (1..=MAX_ITERATIONS).contains(&stored.iterations);
        (affordable && !stored.salt.is_empty()).then_some(stored)
    }

    /// A made-up one of so many iterations; `None` for none.
    pub(super) fn made_up(algorithm: Algorithm, iterations: u64) -> Option<Self> {
        let iterations = u32::try_from(iterations).ok()?;
        (iterations > 0).then_some(Self {
            algorithm,
            iterations,
            salt: "saltsaltsaltsaltsaltsa",
            hash: "",
        })
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        let computed = hash(self.algorithm, password, self.salt, self.iterations);
        same(computed.as_bytes(), self.hash.as_bytes())
    }

    /// By Django's rule: more iterations than preferred are outdated too.
    pub(super) fn is_outdated(&self, work: Work) -> bool {
        self.work() != work || is_short_salt(self.salt.chars().count())
    }

    /// What a check takes.
    pub(super) fn work(&self) -> Work {
        work(self.algorithm, self.iterations)
    }
}

/// So many iterations.
pub(super) fn work(algorithm: Algorithm, iterations: u32) -> Work {
    let family = match algorithm {
        Algorithm::Pbkdf2Sha1 => Family::Pbkdf2Sha1,
        _ => Family::Pbkdf2Sha256,
    };
    Work {
        family,
        amount: iterations.into(),
    }
}

/// The text for the column.
pub(super) fn encode(algorithm: Algorithm, password: &str, salt: &str, iterations: u32) -> String {
    let hash = hash(algorithm, password, salt, iterations);
    format!("{algorithm}${iterations}${salt}${hash}")
}

fn hash(algorithm: Algorithm, password: &str, salt: &str, iterations: u32) -> String {
    count(|| work(algorithm, iterations));
    let (password, salt) = (password.as_bytes(), salt.as_bytes());
    match algorithm {
        Algorithm::Pbkdf2Sha1 => STANDARD.encode(pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(
            password, salt, iterations,
        )),
        _ => STANDARD.encode(pbkdf2_sha256::derive(password, salt, iterations)),
    }
}
