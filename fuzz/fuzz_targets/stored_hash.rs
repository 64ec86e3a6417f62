//! The password column: any text, and below it any password.
#![no_main]

use django_auth::password::{Algorithm, Hasher, Work, algorithm_of, describe, is_usable, verify};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// More expensive ones would make it a test of hash libraries.
const MOST_NANOS: u64 = 30_000;

fuzz_target!(|text: &str| {
    let (encoded, password) = text.split_once('\n').unwrap_or((text, "lètmein"));
    let shown = describe(encoded);
    assert!(shown.len() < 80 && !shown.contains('$'), "{shown}");
    for algorithm in Algorithm::ALL {
        let hasher = Hasher::new(algorithm, None).unwrap();
        assert!(!hasher.must_update(encoded) || algorithm_of(encoded).is_some());
        let other = algorithm_of(encoded).is_some_and(|found| found != algorithm);
        assert!(!other || hasher.must_update(encoded), "{encoded}");
    }
    if !is_usable(encoded) {
        assert_eq!(Work::of(encoded), None);
        assert_eq!(algorithm_of(encoded), None);
        assert_eq!(shown, "no password");
    }
    match Work::of(encoded) {
        None => assert!(!verify(encoded, password), "{encoded}"),
        Some(work) if work.nanos() <= MOST_NANOS => {
            let fits = verify(encoded, password);
            assert_eq!(fits, verify(encoded, password));
            assert!(!fits || !password.is_empty());
            // One more character is another password.
            assert!(!fits || !verify(encoded, &format!("{password}x")));
            // And one more in the column is another hash, or none.
            assert!(!fits || !verify(&format!("{encoded}A"), password));
        }
        Some(_) => {}
    }
    made_by_us(password);
});

/// What we make fits, is cheap work, and is outdated only to dearer hashers.
fn made_by_us(password: &str) {
    let seed = password.bytes().map(u64::from).sum();
    for algorithm in [Algorithm::Pbkdf2Sha256, Algorithm::Pbkdf2Sha1] {
        let hasher = Hasher::new(algorithm, Some(1)).unwrap();
        let made = hasher
            .make(password, &mut StdRng::seed_from_u64(seed))
            .unwrap();
        assert_eq!(verify(&made, password), !password.is_empty(), "{made}");
        assert!(!verify(&made, &format!("{password}x")));
        assert!(!hasher.must_update(&made));
        assert!(Hasher::new(algorithm, Some(2)).unwrap().must_update(&made));
        assert_eq!(describe(&made), format!("{algorithm}, 1"));
    }
}
