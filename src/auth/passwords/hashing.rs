//! Which hashes are made: what the settings say, or what is in the database already.

use std::collections::HashMap;

use django_auth::password::{Algorithm, Hasher};

/// The hasher of a project that has no hashes yet, as Django's default is.
const DJANGOS: Algorithm = Algorithm::Pbkdf2Sha256;
/// The hasher of a database that is ours alone.
const OURS: Algorithm = Algorithm::BcryptSha256;

/// A hash that costs more than so many of today's is one row's mistake.
const MOST_TIMES: u64 = 4;

/// The settings of the hasher.
#[derive(Debug, Clone)]
pub struct Hashing {
    algorithm: Option<Algorithm>,
    cost: Option<String>,
    /// Whether a Django shares the tables now.
    is_shared: bool,
}

/// What a database has that decides the rest.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Whether Django made it, so that a Django may read the hashes.
    pub is_djangos: bool,
    /// Some of its users' password columns.
    pub sample: Vec<String>,
}

impl Hashing {
    /// Takes what the settings say. A cost without an algorithm is looked at later, if
    /// the database may decide for another algorithm.
    pub fn new(
        algorithm: Option<Algorithm>,
        cost: Option<&str>,
        is_shared: bool,
    ) -> Result<Self, String> {
        if let (Some(algorithm), Some(cost)) = (algorithm, cost) {
            Hasher::parse(algorithm, cost)?;
        }
        let cost = cost.map(str::to_owned);
        Ok(Self {
            algorithm,
            cost,
            is_shared,
        })
    }

    /// The hasher of new hashes. On tables that Django made it leaves things as they
    /// are: the commonest algorithm, with the highest cost that there is, unless that is
    /// beyond reason. An algorithm that somebody chose has at least Django's cost of
    /// today, once no Django would rewrite it.
    pub fn hasher(&self, stored: &Stored) -> Result<Hasher, String> {
        let hashers = stored
            .sample
            .iter()
            .filter_map(|encoded| Hasher::of(encoded));
        let hashers: Vec<Hasher> = hashers.filter(|_| stored.is_djangos).collect();
        let algorithm = self.algorithm.unwrap_or_else(|| match stored.is_djangos {
            true => commonest(&hashers).unwrap_or(DJANGOS),
            false => OURS,
        });
        if let Some(cost) = &self.cost {
            return Hasher::parse(algorithm, cost);
        }
        let default = Hasher::new(algorithm, None)?;
        let most = default.work().nanos().saturating_mul(MOST_TIMES);
        let highest = hashers
            .into_iter()
            .filter(|hasher| hasher.algorithm == algorithm && hasher.work().nanos() <= most)
            .max_by_key(|hasher| hasher.work().nanos());
        let is_too_low = |hasher: &Hasher| hasher.work().nanos() < default.work().nanos();
        Ok(match highest {
            Some(low) if self.algorithm.is_some() && !self.is_shared && is_too_low(&low) => default,
            Some(highest) => highest,
            None => default,
        })
    }

    /// Whether a login replaces a hash that this hasher would not make. On tables that
    /// Django made only if somebody chose it: two that prefer different ones would
    /// rewrite each other's for ever.
    pub fn upgrades(&self, stored: &Stored) -> bool {
        self.algorithm.is_some() || !stored.is_djangos
    }
}

/// Of those that new hashes may have.
fn commonest(hashers: &[Hasher]) -> Option<Algorithm> {
    let mut counts: HashMap<Algorithm, usize> = HashMap::new();
    for hasher in hashers {
        if !matches!(hasher.algorithm, Algorithm::Pbkdf2Sha1 | Algorithm::Bcrypt) {
            *counts.entry(hasher.algorithm).or_default() += 1;
        }
    }
    let commonest = counts
        .into_iter()
        .max_by_key(|(algorithm, count)| (*count, algorithm.name()));
    commonest.map(|(algorithm, _)| algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "pbkdf2_sha256$600000$salt$hash";
    const NEW: &str = "pbkdf2_sha256$1500000$salt$hash";
    const ARGON2: &str =
        "argon2$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";

    fn stored(is_djangos: bool, sample: &[&str]) -> Stored {
        let sample = sample.iter().map(|text| (*text).to_owned()).collect();
        Stored { is_djangos, sample }
    }

    fn hasher(
        algorithm: Option<Algorithm>,
        cost: Option<&str>,
        stored: &Stored,
    ) -> (&'static str, u32) {
        let hasher = Hashing::new(algorithm, cost, true)
            .unwrap()
            .hasher(stored)
            .unwrap();
        (hasher.algorithm.name(), hasher.cost())
    }

    #[test]
    fn what_django_made_stays_as_it_is() {
        let pbkdf2 = Some(Algorithm::Pbkdf2Sha256);
        for (algorithm, cost, stored, wanted) in [
            (None, None, stored(true, &[]), ("pbkdf2_sha256", 1_000_000)),
            (
                None,
                None,
                stored(true, &[OLD, NEW, ARGON2]),
                ("pbkdf2_sha256", 1_500_000),
            ),
            (
                None,
                None,
                stored(true, &[OLD, ARGON2, ARGON2, "!"]),
                ("argon2", 3),
            ),
            (
                pbkdf2,
                None,
                stored(true, &[OLD, NEW, ARGON2, ARGON2]),
                ("pbkdf2_sha256", 1_500_000),
            ),
            (
                pbkdf2,
                Some("7"),
                stored(true, &[NEW]),
                ("pbkdf2_sha256", 7),
            ),
            (
                None,
                None,
                stored(false, &[NEW, NEW]),
                ("bcrypt_sha256", 12),
            ),
            (
                pbkdf2,
                None,
                stored(false, &[NEW]),
                ("pbkdf2_sha256", 1_000_000),
            ),
        ] {
            assert_eq!(hasher(algorithm, cost, &stored), wanted);
        }
        let huge = "pbkdf2_sha256$19000000$salt$hash";
        let stored_huge = stored(true, &[OLD, huge]);
        assert_eq!(hasher(None, None, &stored_huge), ("pbkdf2_sha256", 600_000));
        let alone = Hashing::new(pbkdf2, None, false).unwrap();
        assert_eq!(alone.hasher(&stored_huge).unwrap().cost(), 1_000_000);
        let unset = Hashing::new(None, None, true).unwrap();
        assert!(!unset.upgrades(&stored(true, &[])) && unset.upgrades(&stored(false, &[])));
        assert!(Hashing::new(pbkdf2, Some("none"), true).is_err());
        let odd = Hashing::new(None, Some("1000000"), true).unwrap();
        assert!(odd.hasher(&stored(false, &[])).is_err());
        assert!(odd.hasher(&stored(true, &[OLD])).is_ok());
    }
}
