//! `argon2$argon2id$v=19$m=102400,t=2,p=8$<base64 salt>$<base64 hash>`, and that of old
//! Djangos: `argon2i`, and no `v=` (version 16).

use std::cell::RefCell;

use argon2::{Algorithm as Variety, Argon2, Block, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::algorithm::Algorithm;
use super::encoded::{after_name, decimal, is_short_salt, same};
use super::work::{Argon2Shape, Family, Work, count};

/// Django's passes over the memory (`t`).
pub(super) const DEFAULT_PASSES: u32 = 2;
/// The most passes over Django's memory that stay within [`MAX_WORK`].
pub(super) const MAX_PASSES: u32 = 100;

/// Django's memory in KiB (`m`) and lanes (`p`).
const MEMORY: u32 = 102_400;
const LANES: u32 = 8;
const HASH_BYTES: usize = 32;

/// 512 MiB, in KiB.
const MAX_MEMORY: u32 = 512 * 1024;
/// KiB times passes: about 10 s on a slow core.
const MAX_WORK: u64 = MEMORY as u64 * MAX_PASSES as u64;
/// Far above use; keeps the products inside the crate from overflowing.
const MAX_LANES: u32 = 1024;

/// A password column's text, taken apart.
pub(super) struct Stored {
    variety: Variety,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    /// `None` if the text is malformed, or costs more than we do.
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let mut fields = after_name(Algorithm::Argon2.name(), encoded)?.split('$');
        let variety = Variety::new(fields.next()?).ok()?;
        let mut costs = fields.next()?;
        let version = match costs.strip_prefix("v=") {
            Some(number) => {
                costs = fields.next()?;
                Version::try_from(decimal(number)?).ok()?
            }
            None => Version::V0x10,
        };
        let salt = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
        let params = parse_costs(costs, hash.len())?;
        let complete = fields.next().is_none() && salt.len() >= argon2::MIN_SALT_LEN;
        complete.then_some(Self {
            variety,
            version,
            params,
            salt,
            hash,
        })
    }

    /// A made-up one of so many passes; `None` for none.
    pub(super) fn made_up(shape: Argon2Shape, passes: u64) -> Option<Self> {
        let passes = u32::try_from(passes).ok()?;
        Some(Self {
            variety: shape.variety,
            version: Version::V0x13,
            params: Params::new(shape.memory, passes, shape.lanes, Some(HASH_BYTES)).ok()?,
            salt: vec![0; 16],
            hash: vec![0; HASH_BYTES],
        })
    }

    pub(super) fn verify(&self, password: &str) -> bool {
        count(|| self.work());
        let argon2 = Argon2::new(self.variety, self.version, self.params.clone());
        let mut computed = vec![0; self.hash.len()];
        hash(&argon2, password, &self.salt, &mut computed)
            .is_ok_and(|()| same(&computed, &self.hash))
    }

    /// What a check takes.
    pub(super) fn work(&self) -> Work {
        let shape = Argon2Shape {
            variety: self.variety,
            memory: self.params.m_cost(),
            lanes: self.params.p_cost(),
        };
        work_of(shape, self.params.t_cost())
    }

    /// Django's rule: anything but today's parameters is outdated.
    pub(super) fn is_outdated(&self, work: Work) -> bool {
        let wanted =
            self.work() == work && self.version == Version::V0x13 && self.hash.len() == HASH_BYTES;
        !wanted || is_short_salt(self.salt.len())
    }
}

/// So many passes over Django's memory.
pub(super) fn work(passes: u32) -> Work {
    let shape = Argon2Shape {
        variety: Variety::Argon2id,
        memory: MEMORY,
        lanes: LANES,
    };
    work_of(shape, passes)
}

fn work_of(shape: Argon2Shape, passes: u32) -> Work {
    Work {
        family: Family::Argon2(shape),
        amount: passes.into(),
    }
}

/// The same work by the variety of new hashes.
pub(super) fn today(work: Work) -> Work {
    let Family::Argon2(shape) = work.family else {
        return work;
    };
    let variety = Variety::Argon2id;
    Work {
        family: Family::Argon2(Argon2Shape { variety, ..shape }),
        ..work
    }
}

/// The work of `m=…,t=…,p=…`; `None` if it is not allowed.
pub(super) fn parse_work(text: &str) -> Option<Work> {
    let params = parse_costs(text, HASH_BYTES)?;
    let shape = Argon2Shape {
        variety: Variety::Argon2id,
        memory: params.m_cost(),
        lanes: params.p_cost(),
    };
    Some(work_of(shape, params.t_cost()))
}

/// `m=…,t=…,p=…`, in this order, as the reference implementation insists.
fn parse_costs(text: &str, hash_bytes: usize) -> Option<Params> {
    let (memory, rest) = text.strip_prefix("m=")?.split_once(",t=")?;
    let (passes, lanes) = rest.split_once(",p=")?;
    let [memory, passes, lanes] = [decimal(memory)?, decimal(passes)?, decimal(lanes)?];
    let work = u64::from(memory) * u64::from(passes);
    let affordable = memory <= MAX_MEMORY && work <= MAX_WORK && lanes <= MAX_LANES;
    affordable.then(|| Params::new(memory, passes, lanes, Some(hash_bytes)).ok())?
}

thread_local! {
    /// Reused: to get 100 MiB of new pages takes as long as half the hashing.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

fn hash(
    argon2: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    computed: &mut [u8],
) -> argon2::Result<()> {
    let needed = argon2.params().block_count();
    if needed > MEMORY as usize {
        return argon2.hash_password_into(password.as_bytes(), salt, computed);
    }
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.len() < needed {
            // Not resized: that would copy the old blocks.
            *blocks = vec![Block::default(); needed];
        }
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, computed, blocks)
    })
}

/// Frees the memory that this thread reuses for each hash, up to 100 MiB.
pub fn release_memory() {
    BLOCKS.take();
}

/// The size of that memory, in bytes.
pub fn kept_memory() -> usize {
    BLOCKS.with_borrow(|blocks| size_of_val(blocks.as_slice()))
}

/// The text for the column; `None` without passes, or if the salt is too short.
pub(super) fn encode(password: &str, salt: &str, work: Work) -> Option<String> {
    let Family::Argon2(Argon2Shape { memory, lanes, .. }) = work.family else {
        return None;
    };
    let passes = u32::try_from(work.amount).ok()?;
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()?;
    let argon2 = Argon2::new(Variety::Argon2id, Version::V0x13, params);
    let mut computed = [0; HASH_BYTES];
    hash(&argon2, password, salt.as_bytes(), &mut computed).ok()?;
    let [salt, hash] = [salt.as_bytes(), &computed].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    let name = Algorithm::Argon2;
    Some(format!(
        "{name}$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hash_gets_into_the_next() {
        let hash = |password| encode(password, "a salt of some length", work(1));
        let first = hash("a password");
        assert_eq!(kept_memory(), 100 * 1024 * 1024);
        assert_ne!(hash("another password"), first);
        assert_eq!(hash("a password"), first);
        release_memory();
        assert_eq!(kept_memory(), 0);
    }
}
