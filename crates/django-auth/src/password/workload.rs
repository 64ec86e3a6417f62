//! The hash work of a refusal, which is the same for all users: for each kind of work
//! that the database holds, the most that one of its hashes takes. A refused login
//! first checks the user's own hash, then does the rest.

use super::hasher::Hasher;
use super::stored::Stored;
use super::work::Work;

/// Families at most; a database that was ever Django's has two or three.
const FAMILIES: usize = 8;
/// Work at most, beside the preferred hasher's own: about 3 s on one core.
const MOST_NANOS: u64 = 3_000_000_000;

impl Work {
    /// What a check of that password column's text takes; `None` if it holds no hash.
    pub fn of(encoded: &str) -> Option<Self> {
        Stored::parse(encoded).map(|stored| stored.work())
    }
}

/// The work of every refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload(Vec<Work>);

impl Workload {
    /// What a refusal takes where all hashes are the preferred hasher's.
    pub fn new(preferred: &Hasher) -> Self {
        Self(vec![preferred.work()])
    }

    /// Whether a check of that much is within it.
    pub fn covers(&self, work: Work) -> bool {
        let mut each = self.0.iter();
        each.any(|most| most.family == work.family && most.amount >= work.amount)
    }

    /// Adds a check of that much; `false` if that would be too much, and such a user's
    /// refusals take their own time.
    pub fn include(&mut self, work: Work) -> bool {
        if self.covers(work) {
            return true;
        }
        let others = self.0.iter().skip(1);
        let others = others.filter(|most| most.family != work.family);
        let others = others.map(Work::nanos);
        let nanos = others.fold(work.nanos(), u64::saturating_add);
        let known = self.0.iter().position(|most| most.family == work.family);
        if nanos > MOST_NANOS || (known.is_none() && self.0.len() >= FAMILIES) {
            return false;
        }
        match known.and_then(|at| self.0.get_mut(at)) {
            Some(most) => *most = work,
            None => self.0.push(work),
        }
        true
    }

    /// What is left of it after that check.
    pub(super) fn rest(&self, done: Option<Work>) -> impl Iterator<Item = Work> {
        self.0.iter().map(move |most| {
            let same = done.filter(|done| done.family == most.family);
            let done = same.map_or(0, |done| done.amount);
            Work {
                family: most.family,
                amount: most.amount.saturating_sub(done),
            }
        })
    }
}

#[cfg(test)]
impl Workload {
    /// How much of each family that is, in the order of this workload.
    pub(super) fn total(&self, works: impl IntoIterator<Item = Work>) -> Vec<u64> {
        let works: Vec<Work> = works.into_iter().collect();
        let sum = |most: &Work| {
            let same = works.iter().filter(|work| work.family == most.family);
            same.map(|work| work.amount).sum()
        };
        self.0.iter().map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::password::algorithm::Algorithm;

    /// One hash of each kind, with a cost of its own.
    fn encoded() -> impl Strategy<Value = String> {
        prop_oneof![
            (1..2_000_000_u32).prop_map(|n| format!("pbkdf2_sha256${n}$salt$hash")),
            (1..2_000_000_u32).prop_map(|n| format!("pbkdf2_sha1${n}$salt$hash")),
            (4..14_u32).prop_map(|cost| format!(
                "bcrypt_sha256$$2b${cost:02}$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
            )),
            (4..14_u32).prop_map(|cost| format!(
                "bcrypt$$2b${cost:02}$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
            )),
            (1..4_u32, 1..3_u32).prop_map(|(t, m)| format!(
                "argon2$argon2id$v=19$m={},t={t},p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
                m * 1024
            )),
            (1..15_u32).prop_map(|n| format!("scrypt${}$salt$8$1$hash", 1_u64 << n)),
            Just("!".to_owned()),
            Just(String::new()),
            Just("md5$a$b".to_owned()),
            Just("bcrypt$corrupt".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn every_refusal_is_the_same_work(users in prop::collection::vec(encoded(), 1..20)) {
            let preferred = Hasher::new(Algorithm::BcryptSha256, None).unwrap();
            let mut workload = Workload::new(&preferred);
            for user in &users {
                if let Some(work) = Work::of(user) {
                    workload.include(work);
                }
            }
            let none = workload.total(workload.rest(None));
            for user in &users {
                let own = Work::of(user);
                if own.is_none_or(|own| workload.covers(own)) {
                    let sum = workload.total(own.into_iter().chain(workload.rest(own)));
                    prop_assert_eq!(&sum, &none, "{}", user);
                }
            }
        }

        #[test]
        fn a_workload_is_bounded(users in prop::collection::vec(encoded(), 1..60)) {
            let mut workload = Workload::new(&Hasher::new(Algorithm::Pbkdf2Sha1, Some(1)).unwrap());
            for user in &users {
                if let Some(work) = Work::of(user) {
                    prop_assert_eq!(workload.include(work), workload.covers(work));
                }
            }
            let nanos: u64 = workload.rest(None).map(|work| work.nanos()).sum();
            prop_assert!(nanos <= MOST_NANOS + 10_000_000_000);
            prop_assert!(workload.rest(None).count() <= FAMILIES);
        }
    }

    #[test]
    fn a_bomb_is_not_part_of_everybodys_work() {
        let mut workload = Workload::new(&Hasher::new(Algorithm::BcryptSha256, None).unwrap());
        let before = workload.clone();
        let bcrypt = "bcrypt$$2b$17$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
        assert!(!workload.include(Work::of(bcrypt).unwrap()));
        assert_eq!(Work::of("pbkdf2_sha256$2000000000$salt$hash"), None);
        assert_eq!(workload, before);
        assert!(workload.include(Work::of("pbkdf2_sha256$1000000$salt$hash").unwrap()));
    }
}
