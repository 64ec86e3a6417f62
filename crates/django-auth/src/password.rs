//! Django's encoded password hashes, made, checked and judged outdated as Django 5.2
//! and 6.1 do it. All of it is pure, and slow on purpose: never run it on an async
//! thread.
//!
//! A password column holds `algorithm$…`; each algorithm writes cost, salt and hash its
//! own way (one file each). Unlike Django's:
//!
//! - A text for which Django raises (a corrupt one, or plain bcrypt with a password of
//!   more than 72 bytes) does not verify.
//! - Nor does a hash that costs more than about 10 s or 512 MiB: a row must not be able
//!   to stop the service.
//! - The empty password never verifies: an account made with it is closed, not open.
//!
//! As in Django, NULs at a password's end are without effect in PBKDF2, and plain
//! bcrypt repeats a password across a NUL.

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
pub use hasher::{Hasher, MakeError};
pub use work::Work;
pub use workload::Workload;

use rand::CryptoRng;

use self::stored::Stored;
use crate::random::random_string;

const UNUSABLE_PREFIX: char = '!';
const UNUSABLE_LENGTH: usize = 40;

/// Whether `encoded`, a password column's text, was made of `password`.
///
/// False, and at once, for a text that is no known hash: a caller that must not tell
/// accounts apart by time uses [`check`]. The empty password is hashed, then refused.
pub fn verify(encoded: &str, password: &str) -> bool {
    let fits = Stored::parse(encoded).is_some_and(|stored| stored.verify(password));
    fits && !password.is_empty()
}

/// [`verify`], where every refusal is the same work: of no user (`None`), no password,
/// an unreadable hash, a wrong password, or a user who may not log in (`!may_pass`).
///
/// Made-up hashes take the rest of the work, by the same calls as the user's own: calls
/// from elsewhere can be some percent slower, which a patient attacker would see.
pub fn check(encoded: Option<&str>, password: &str, may_pass: bool, workload: &Workload) -> bool {
    let own = encoded.and_then(Stored::parse);
    let may_pass = may_pass && own.is_some() && !password.is_empty();
    let rest = workload.rest(own.as_ref().map(Stored::work));
    let mut hashes: Vec<Stored<'_>> = own.into_iter().collect();
    rest.for_each(|work| Stored::made_up(work, &mut hashes));
    let mut hashes = hashes.iter().enumerate();
    hashes.any(|(number, hash)| hash.verify(password) && number == 0 && may_pass)
}

/// False for a text that starts with `!`: an account without a password.
pub fn is_usable(encoded: &str) -> bool {
    !encoded.starts_with(UNUSABLE_PREFIX)
}

/// The text for an account without a password: `!` and 40 of `[a-zA-Z0-9]`, random so
/// that each session hash differs.
pub fn unusable(rng: &mut (impl CryptoRng + ?Sized)) -> String {
    format!("{UNUSABLE_PREFIX}{}", random_string(UNUSABLE_LENGTH, rng))
}

/// The algorithm and cost of a column's text, to be shown: nothing of salt or hash.
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
