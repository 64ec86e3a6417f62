//! Passwords: Django's encoded hashes, made, checked and judged outdated exactly
//! as Django 5.2 does it.
//!
//! A password column holds `algorithm$…`, where each algorithm has its own way
//! to write its cost, salt and hash (one file each). Everything here is pure and
//! slow on purpose: run it on a thread of its own, never on an async one.
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
pub mod argon2;
mod bcrypt;
mod encoded;
mod hasher;
mod pbkdf2;
mod pbkdf2_sha256;
mod scrypt;
mod stored;
pub mod validation;
mod work;
mod workload;

pub use algorithm::{Algorithm, algorithm_of};
pub use hasher::{Cost, Hasher, MakeError};
pub use work::Work;
pub use workload::Workload;

use rand::CryptoRng;

use self::stored::Stored;
use crate::random::random_string;

const UNUSABLE_PREFIX: char = '!';
const UNUSABLE_LENGTH: usize = 40;

/// Whether `password` is the one that `encoded`, a password column's text, was
/// made of.
///
/// Never panics, whatever the text: what is no hash that we know verifies to
/// false, and at once, so a caller that must not tell accounts apart by time
/// uses [`check`]. The empty password is hashed like any other and then refused.
pub fn verify(encoded: &str, password: &str) -> bool {
    let fits = Stored::parse(encoded).is_some_and(|stored| stored.verify(password));
    fits && !password.is_empty()
}

/// [`verify`], for someone who may log in only if `may_pass`, with every refusal
/// the same work whatever its reason: no such user (`None`), no password, an
/// unreadable hash, a wrong password, or an account that is closed.
///
/// The rest of the work is checks of made-up hashes, by the same calls as the user's
/// own: the same function called from elsewhere can be some percent slower, which a
/// patient attacker would see.
pub fn check(encoded: Option<&str>, password: &str, may_pass: bool, workload: &Workload) -> bool {
    let own = encoded.and_then(Stored::parse);
    let may_pass = may_pass && own.is_some() && !password.is_empty();
    let rest = workload.rest(own.as_ref().map(Stored::work));
    let mut hashes: Vec<Stored<'_>> = own.into_iter().collect();
    rest.for_each(|work| Stored::made_up(work, &mut hashes));
    for (number, hash) in hashes.iter().enumerate() {
        if hash.verify(password) && number == 0 && may_pass {
            return true;
        }
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
