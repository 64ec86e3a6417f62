//! `scrypt$<n>$<salt>$<r>$<p>$<base64>`, the hash 64 bytes long.

use base64::{Engine, engine::general_purpose::STANDARD};
use scrypt::Params;

use super::algorithm::Algorithm;
use super::encoded::{after_name, decimal, same};
use super::work::{Family, ScryptShape, Work, count};

/// Django's work factor n is 2 to this.
pub(super) const DEFAULT_LOG_N: u32 = 14;
/// What the algorithm allows.
pub(super) const MIN_LOG_N: u32 = 1;
/// 16 times Django's work, and 256 MiB.
pub(super) const MAX_LOG_N: u32 = 18;

/// Django's block size (`r`) and parallelism (`p`).
const BLOCK_SIZE: u32 = 8;
const PARALLELISM: u32 = 5;
const HASH_BYTES: usize = 64;

const MAX_MEMORY_BYTES: u64 = 512 * 1024 * 1024;
/// n times r times p; 25 times Django's: about 10 s on a slow core.
const MAX_WORK: u64 = 1 << 24;

/// A password column's text, taken apart.
pub(super) struct Stored<'a> {
    params: Params,
    salt: &'a str,
    hash: &'a str,
}

impl<'a> Stored<'a> {
    /// `None` if the text is malformed, or costs more than we do.
    pub(super) fn parse(encoded: &'a str) -> Option<Self> {
        let mut fields = after_name(Algorithm::Scrypt.name(), encoded)?.splitn(5, '$');
        let n = decimal(fields.next()?)?;
        let salt = fields.next().filter(|salt| !salt.is_empty())?;
        let r = decimal(fields.next()?)?;
        let p = decimal(fields.next()?)?;
        let hash = fields.next()?;
        let is_valid = n > 1 && n.is_power_of_two();
        let params = is_valid.then(|| params(n.ilog2(), r, p))??;
        Some(Self { params, salt, hash })
    }

    /// A made-up one; `None` for what the algorithm does not allow.
    pub(super) fn made_up(shape: ScryptShape, log_n: u32) -> Option<Self> {
        Some(Self {
            params: params(log_n, shape.block_size, shape.parallelism)?,
            salt: "saltsaltsaltsaltsaltsa",
            hash: "",
        })
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        hash(password, self.salt, &self.params)
            .is_some_and(|computed| same(computed.as_bytes(), self.hash.as_bytes()))
    }

    /// What a check takes.
    pub(super) fn work(&self) -> Work {
        work_of(&self.params)
    }

    /// By Django's rule, which for scrypt leaves the salt's length out.
    pub(super) fn is_outdated(&self, work: Work) -> bool {
        self.work() != work
    }
}

fn work_of(params: &Params) -> Work {
    shaped(params.r(), params.p(), params.log_n().into())
}

/// `n` of that logarithm, with Django's other parameters.
pub(super) fn work(log_n: u32) -> Work {
    shaped(BLOCK_SIZE, PARALLELISM, log_n)
}

fn shaped(block_size: u32, parallelism: u32, log_n: u32) -> Work {
    Work {
        family: Family::Scrypt(ScryptShape {
            block_size,
            parallelism,
        }),
        amount: 1_u64.checked_shl(log_n).unwrap_or(u64::MAX),
    }
}

/// The work of `n=…,r=…,p=…`; `None` if it is not allowed.
pub(super) fn parse_work(text: &str) -> Option<Work> {
    let (n, rest) = text.strip_prefix("n=")?.split_once(",r=")?;
    let (r, p) = rest.split_once(",p=")?;
    let [n, r, p] = [decimal(n)?, decimal(r)?, decimal(p)?];
    let is_valid = n > 1 && n.is_power_of_two();
    is_valid
        .then(|| params(n.ilog2(), r, p))
        .flatten()
        .map(|params| work_of(&params))
}

/// The text for the column; `None` if so much work is not allowed.
pub(super) fn encode(password: &str, salt: &str, work: Work) -> Option<String> {
    let Family::Scrypt(ScryptShape {
        block_size: r,
        parallelism: p,
    }) = work.family
    else {
        return None;
    };
    let hash = hash(password, salt, &params(work.amount.ilog2(), r, p)?)?;
    let (name, n) = (Algorithm::Scrypt, work.amount);
    Some(format!("{name}${n}${salt}${r}${p}${hash}"))
}

/// `None` for what the algorithm does not allow, or is too much.
fn params(log_n: u32, r: u32, p: u32) -> Option<Params> {
    let n = 1_u64.checked_shl(log_n)?;
    let (wide_r, wide_p) = (u64::from(r), u64::from(p));
    let memory = wide_r
        .checked_mul(n.checked_add(wide_p)?)?
        .checked_mul(128)?;
    let work = n.checked_mul(wide_r)?.checked_mul(wide_p)?;
    if memory > MAX_MEMORY_BYTES || work > MAX_WORK {
        return None;
    }
    Params::new(u8::try_from(log_n).ok()?, r, p, HASH_BYTES).ok()
}

fn hash(password: &str, salt: &str, params: &Params) -> Option<String> {
    count(|| work_of(params));
    let mut hash = [0; HASH_BYTES];
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), params, &mut hash).ok()?;
    Some(STANDARD.encode(hash))
}
