//! Passwords: Django's encoded hashes, made, checked and judged outdated exactly
//! as Django 5.2 does it.
//!
//! A password column holds `algorithm$…`, where each algorithm has its own way
//! to write its cost, salt and hash (one file each). Everything here is pure and
//! slow on purpose: run it in the [`pool`], never on an async thread.
//!
//! Decisions of our own, where Django leaves a choice or does worse:
//!
//! - A column that Django would answer with an exception (corrupt text, a plain
//!   bcrypt password of more than 72 bytes) simply does not verify.
//! - A stored hash whose cost is far beyond use (about 10 s, or 512 MiB) does
//!   not verify either: a row must not be able to stop the service.
//! - The empty password never verifies, even where its hash is stored, so that
//!   an account made with a blank password is closed and not open.
//!
//! Left as Django has it: a password with NULs added at its end is the same
//! password to PBKDF2, and plain bcrypt repeats it across a NUL.

mod algorithm;
mod argon2;
mod bcrypt;
mod encoded;
mod hasher;
mod pbkdf2;
pub mod pool;
mod scrypt;
pub mod validation;
mod workload;

pub use algorithm::Algorithm;
pub use hasher::{Cost, Hasher, MakeError};
pub use workload::{Work, Workload};

use rand::CryptoRng;

use crate::django::random::random_string;

const UNUSABLE_PREFIX: char = '!';
const UNUSABLE_LENGTH: usize = 40;

/// Whether `password` is the one that `encoded`, a password column's text, was
/// made of.
///
/// Never panics, whatever the text: what is no hash that we know verifies to
/// false, and at once, so a caller that must not tell accounts apart by time
/// uses [`check`]. The empty password is hashed like any other and then refused.
pub fn verify(encoded: &str, password: &str) -> bool {
    fits(encoded, password).is_some_and(|fits| fits && !password.is_empty())
}

/// `None` if there is nothing to check against, so that no work was done.
fn fits(encoded: &str, password: &str) -> Option<bool> {
    if encoded.len() > encoded::MAX_LENGTH {
        return None;
    }
    let algorithm = algorithm_of(encoded)?;
    Some(match algorithm {
        Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 => {
            pbkdf2::Stored::parse(algorithm, encoded)?.verify(password)
        }
        Algorithm::Argon2 => argon2::Stored::parse(encoded)?.verify(password),
        Algorithm::BcryptSha256 | Algorithm::Bcrypt => {
            bcrypt::Stored::parse(algorithm, encoded)?.verify(password)
        }
        Algorithm::Scrypt => scrypt::Stored::parse(encoded)?.verify(password),
    })
}

/// [`verify`], for someone who may log in only if `may_pass`, with every refusal
/// the same work whatever its reason: no such user (`None`), no password, an
/// unreadable hash, a wrong password, or an account that is closed.
pub fn check(encoded: Option<&str>, password: &str, may_pass: bool, workload: &Workload) -> bool {
    let fits = encoded.is_some_and(|encoded| verify(encoded, password));
    if fits && may_pass {
        return true;
    }
    for work in workload.rest(encoded.and_then(Work::of)) {
        work.run(password);
    }
    false
}

/// False for texts that start with `!`, which say "no password" (as for accounts
/// that log in elsewhere). Like Django's, it does not look at the rest.
pub fn is_usable(encoded: &str) -> bool {
    !encoded.starts_with(UNUSABLE_PREFIX)
}

/// The text for an account without a password: `!` and 40 of `[a-zA-Z0-9]`.
///
/// The random part makes each such text, and so each session hash, its own.
pub fn unusable(rng: &mut (impl CryptoRng + ?Sized)) -> String {
    format!("{UNUSABLE_PREFIX}{}", random_string(UNUSABLE_LENGTH, rng))
}

/// The algorithm that a column's text names, whether or not the rest is sound;
/// `None` for unusable and unknown ones.
pub fn algorithm_of(encoded: &str) -> Option<Algorithm> {
    let name = encoded.split('$').next()?;
    Algorithm::from_name(name)
}

/// A column's text in words that can be shown: the algorithm and the cost that
/// it names, and nothing of salt or hash.
pub fn describe(encoded: &str) -> String {
    if encoded.is_empty() {
        return "empty".to_owned();
    }
    if !is_usable(encoded) {
        return "no password".to_owned();
    }
    let Some(algorithm) = algorithm_of(encoded) else {
        return "unknown".to_owned();
    };
    let mut parts = encoded.split('$').skip(1);
    let cost = match algorithm {
        Algorithm::Pbkdf2Sha256 | Algorithm::Pbkdf2Sha1 | Algorithm::Scrypt => parts.next(),
        Algorithm::Argon2 => parts.find(|part| part.starts_with("m=")),
        Algorithm::Bcrypt | Algorithm::BcryptSha256 => {
            parts.find(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
        }
    };
    let is_cost = |text: &&str| {
        text.len() <= 40
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"=,".contains(&b))
    };
    format!("{algorithm}, {}", cost.filter(is_cost).unwrap_or("corrupt"))
}

#[cfg(test)]
mod tests;
