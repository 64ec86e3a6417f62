//! Amounts of hash work, as plain data.

use argon2::Algorithm as Variety;

/// Hash work of one kind, whose amounts add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Counted in iterations.
    Pbkdf2Sha256,
    /// Counted in iterations.
    Pbkdf2Sha1,
    /// Counted in rounds, 2 to the cost; plain or over a digest.
    Bcrypt,
    /// Counted in passes over the memory.
    Argon2(Argon2Shape),
    /// Counted in `n`.
    Scrypt(ScryptShape),
}

/// What one pass over the memory costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argon2Shape {
    pub(super) variety: Variety,
    /// In KiB.
    pub(super) memory: u32,
    pub(super) lanes: u32,
}

/// What one unit of `n` costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScryptShape {
    pub(super) block_size: u32,
    pub(super) parallelism: u32,
}

/// An amount of hash work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub(super) family: Family,
    pub(super) amount: u64,
}

impl Work {
    /// Roughly, on one core of today's servers.
    pub fn nanos(&self) -> u64 {
        let each = match self.family {
            Family::Pbkdf2Sha256 | Family::Pbkdf2Sha1 => 120,
            Family::Bcrypt => 60_000,
            Family::Argon2(shape) => u64::from(shape.memory) * 1_070,
            Family::Scrypt(shape) => {
                u64::from(shape.block_size) * u64::from(shape.parallelism) * 305
            }
        };
        self.amount.saturating_mul(each)
    }
}

/// Calls `run` with the logarithm of each power of two that makes up `amount`.
pub(super) fn by_doublings(amount: u64, run: impl FnMut(u32)) {
    (0..u64::BITS)
        .filter(|step| amount >> step & 1 == 1)
        .for_each(run);
}

#[cfg(test)]
thread_local! {
    /// The work that this thread has done.
    pub(super) static DONE: std::cell::RefCell<Vec<Work>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// For tests: counts the hash work.
#[inline]
pub(super) fn count(work: impl FnOnce() -> Work) {
    #[cfg(test)]
    DONE.with_borrow_mut(|done| done.push(work()));
    #[cfg(not(test))]
    let _ = work;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn doublings_add_up(amount: u64) {
            let sum = Cell::new(0_u64);
            by_doublings(amount, |step| sum.set(sum.get() + (1 << step)));
            prop_assert_eq!(sum.get(), amount);
        }
    }
}
