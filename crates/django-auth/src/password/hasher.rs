//! The preferred hasher, which makes new hashes and tells outdated ones.

use std::ops::RangeInclusive;

use rand::{CryptoRng, Rng};

use super::algorithm::{Algorithm, algorithm_of};
use super::encoded::SALT_LENGTH;
use super::stored::Stored;
use super::work::Work;
use super::{argon2, bcrypt, pbkdf2, scrypt};
use crate::random::random_string;

/// The work of a new hash; the allowed maximum is also what [`super::verify`] takes:
///
/// | algorithm | unit | allowed | Django 5.2's |
/// | --- | --- | --- | --- |
/// | `pbkdf2_sha256`, `pbkdf2_sha1` | iterations | 1 to 20,000,000 | 1,000,000 |
/// | `argon2` | passes over 100 MiB | 1 to 100 | 2 |
/// | `bcrypt_sha256`, `bcrypt` | log2 of the rounds | 4 to 17 | 12 |
/// | `scrypt` | log2 of n (r = 8, p = 5) | 1 to 18 | 14 |
///
/// Django 6.1 has the same, but 1,500,000 iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost(u32);

impl Cost {
    /// The number, in the algorithm's unit.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Makes password hashes of one algorithm and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hasher {
    /// The algorithm of new hashes.
    pub algorithm: Algorithm,
    /// The cost of new hashes.
    pub cost: Cost,
}

/// Why no hash was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// Plain bcrypt would have cut the password.
    #[error("bcrypt takes passwords of up to 72 bytes")]
    TooLong,
    /// The hasher has the cost of another algorithm.
    #[error("the password hash algorithm does not allow this cost")]
    Cost,
}

impl Hasher {
    /// A hasher with the given cost, or with Django 5.2's.
    ///
    /// # Errors
    ///
    /// One line that says the allowed range, if the cost is outside of it.
    pub fn new(algorithm: Algorithm, cost: Option<u32>) -> Result<Self, String> {
        let (range, default, unit) = costs(algorithm);
        let cost = cost.unwrap_or(default);
        if range.contains(&cost) {
            let cost = Cost(cost);
            return Ok(Self { algorithm, cost });
        }
        let (low, high) = range.into_inner();
        Err(format!(
            "{algorithm} takes a cost of {low} to {high} ({unit}), not {cost}"
        ))
    }

    /// A new text for the password column, with a new salt.
    ///
    /// # Errors
    ///
    /// [`MakeError::TooLong`] for plain bcrypt and more than 72 bytes.
    pub fn make(
        &self,
        password: &str,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<String, MakeError> {
        let (algorithm, cost) = (self.algorithm, self.cost.0);
        let encoded = match algorithm {
            Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => {
                let salt = random_string(SALT_LENGTH, rng);
                Some(pbkdf2::encode(algorithm, password, &salt, cost))
            }
            Algorithm::Argon2 => argon2::encode(password, &random_string(SALT_LENGTH, rng), cost),
            Algorithm::Scrypt => scrypt::encode(password, &random_string(SALT_LENGTH, rng), cost),
            Algorithm::Bcrypt | Algorithm::BcryptSha256 => {
                if !bcrypt::is_taken_whole(algorithm, password) {
                    return Err(MakeError::TooLong);
                }
                bcrypt::encode(algorithm, password, rng.random(), cost)
            }
        };
        encoded.ok_or(MakeError::Cost)
    }

    /// Whether Django would hash the password anew after a good login: the algorithm or
    /// a parameter differs (a higher cost too), or the salt has less than 128 bits.
    ///
    /// False for a text that is unusable, unknown, or corrupt in this algorithm.
    pub fn must_update(&self, encoded: &str) -> bool {
        match algorithm_of(encoded) {
            None => false,
            Some(algorithm) if algorithm != self.algorithm => true,
            Some(_) => Stored::parse(encoded).is_some_and(|hash| hash.is_outdated(self.cost.0)),
        }
    }

    /// What a check of a new hash takes.
    pub(super) fn work(&self) -> Work {
        let cost = self.cost.0;
        match self.algorithm {
            algorithm @ (Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1) => {
                pbkdf2::work(algorithm, cost)
            }
            Algorithm::Bcrypt | Algorithm::BcryptSha256 => bcrypt::work(cost),
            Algorithm::Argon2 => argon2::work(cost),
            Algorithm::Scrypt => scrypt::work(cost),
        }
    }
}

/// The allowed range, Django's cost, and the unit.
fn costs(algorithm: Algorithm) -> (RangeInclusive<u32>, u32, &'static str) {
    let (low, high, default, unit) = match algorithm {
        Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => {
            use pbkdf2::{DEFAULT_ITERATIONS, MAX_ITERATIONS};
            (1, MAX_ITERATIONS, DEFAULT_ITERATIONS, "iterations")
        }
        Algorithm::Argon2 => (1, argon2::MAX_PASSES, argon2::DEFAULT_PASSES, "passes"),
        Algorithm::Bcrypt | Algorithm::BcryptSha256 => {
            use bcrypt::{DEFAULT_COST, MAX_COST, MIN_COST};
            (MIN_COST, MAX_COST, DEFAULT_COST, "log2 of the rounds")
        }
        Algorithm::Scrypt => {
            use scrypt::{DEFAULT_LOG_N, MAX_LOG_N, MIN_LOG_N};
            (MIN_LOG_N, MAX_LOG_N, DEFAULT_LOG_N, "log2 of n")
        }
    };
    (low..=high, default, unit)
}
