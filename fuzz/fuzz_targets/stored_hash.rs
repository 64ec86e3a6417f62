//! The password column: any text, with any password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::password::{
    Algorithm, Hasher, Work, algorithm_of, describe, is_usable, verify,
};

/// Dearer ones would make it a test of hash libraries.
const MOST_NANOS: u64 = 30_000;

fuzz_target!(|input: (&str, &str)| {
    let (encoded, password) = input;
    let shown = describe(encoded);
    assert!(shown.len() < 80 && !shown.contains('$'), "{shown}");
    for algorithm in Algorithm::ALL {
        let hasher = Hasher::new(algorithm, None).unwrap();
        assert!(!hasher.must_update(encoded) || algorithm_of(encoded).is_some());
    }
    if !is_usable(encoded) {
        assert_eq!(Work::of(encoded), None);
    }
    match Work::of(encoded) {
        None => assert!(!verify(encoded, password), "{encoded}"),
        Some(work) if work.nanos() <= MOST_NANOS => {
            let fits = verify(encoded, password);
            assert_eq!(fits, verify(encoded, password));
            assert!(!fits || !password.is_empty());
        }
        Some(_) => {}
    }
});
