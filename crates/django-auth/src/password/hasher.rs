//! The preferred hasher, which makes new hashes and tells outdated ones.

use std::ops::RangeInclusive;

use rand::{CryptoRng, Rng};

use super::algorithm::{Algorithm, algorithm_of};
use super::encoded::SALT_LENGTH;
use super::stored::Stored;
use super::work::Work;
use super::{argon2, bcrypt, pbkdf2, scrypt};
use crate::random::random_string;

/// Makes password hashes of one algorithm and cost. A cost is a number, or all of an
/// algorithm's parameters; the allowed maximum is also what [`super::verify`] takes:
///
/// | algorithm | unit | allowed | Django 5.2's | all parameters |
/// | --- | --- | --- | --- | --- |
/// | `pbkdf2_sha256`, `pbkdf2_sha1` | iterations | 1 to 20,000,000 | 1,000,000 | |
/// | `argon2` | passes over 100 MiB | 1 to 100 | 2 | `m=102400,t=2,p=8` |
/// | `bcrypt_sha256`, `bcrypt` | log2 of the rounds | 4 to 17 | 12 | |
/// | `scrypt` | log2 of n (r = 8, p = 5) | 1 to 18 | 14 | `n=16384,r=8,p=5` |
///
/// Django 6.1 has the same, but 1,500,000 iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hasher {
    /// The algorithm of new hashes.
    pub algorithm: Algorithm,
    work: Work,
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
            let work = work(algorithm, cost);
            return Ok(Self { algorithm, work });
        }
        let (low, high) = range.into_inner();
        Err(format!(
            "{algorithm} takes a cost of {low} to {high} ({unit}), not {cost}"
        ))
    }

    /// A hasher with the cost that a text says: a number, or all parameters.
    ///
    /// # Errors
    ///
    /// One line that says what the algorithm takes.
    pub fn parse(algorithm: Algorithm, cost: &str) -> Result<Self, String> {
        if let Ok(cost) = cost.parse() {
            return Self::new(algorithm, Some(cost));
        }
        let (work, example) = match algorithm {
            Algorithm::Argon2 => (argon2::parse_work(cost), ", or such as m=102400,t=2,p=8"),
            Algorithm::Scrypt => (scrypt::parse_work(cost), ", or such as n=16384,r=8,p=5"),
            _ => (None, ""),
        };
        let work =
            work.ok_or_else(|| format!("{algorithm} takes a whole number{example}, not {cost}"))?;
        Ok(Self { algorithm, work })
    }

    /// The hasher that makes hashes like this one; `None` if it is none that we check.
    pub fn of(encoded: &str) -> Option<Self> {
        let algorithm = algorithm_of(encoded)?;
        let mut work = Stored::parse(encoded)?.work();
        if algorithm == Algorithm::Argon2 {
            work = argon2::today(work);
        }
        Some(Self { algorithm, work })
    }

    /// The cost as a number, in the algorithm's unit.
    pub fn cost(&self) -> u32 {
        let cost = match self.algorithm {
            Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 | Algorithm::Argon2 => self.work.amount,
            _ => self.work.amount.ilog2().into(),
        };
        u32::try_from(cost).unwrap_or(u32::MAX)
    }

    /// What a check of a new hash takes.
    pub fn work(&self) -> Work {
        self.work
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
        let (algorithm, cost) = (self.algorithm, self.cost());
        let encoded = match algorithm {
            Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => {
                let salt = random_string(SALT_LENGTH, rng);
                Some(pbkdf2::encode(algorithm, password, &salt, cost))
            }
            Algorithm::Argon2 => {
                argon2::encode(password, &random_string(SALT_LENGTH, rng), self.work)
            }
            Algorithm::Scrypt => {
                scrypt::encode(password, &random_string(SALT_LENGTH, rng), self.work)
            }
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
            Some(_) => Stored::parse(encoded).is_some_and(|hash| hash.is_outdated(self.work)),
        }
    }

    /// Whether that hash is of the same algorithm, and more work than a new one.
    pub fn would_weaken(&self, encoded: &str) -> bool {
        Self::of(encoded).is_some_and(|stored| {
            stored.algorithm == self.algorithm && stored.work.nanos() > self.work.nanos()
        })
    }
}

/// What a check takes at that cost, with Django's other parameters.
fn work(algorithm: Algorithm, cost: u32) -> Work {
    match algorithm {
        Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => pbkdf2::work(algorithm, cost),
        Algorithm::Bcrypt | Algorithm::BcryptSha256 => bcrypt::work(cost),
        Algorithm::Argon2 => argon2::work(cost),
        Algorithm::Scrypt => scrypt::work(cost),
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
