//! The whole of `password` against the real Django's facts.

use proptest::prelude::*;
use serde_json::Value;

use super::work::DONE;
use super::*;
use crate::vectors::{load, load_hashes_of_6_1, rows, text};

/// Cheap hashers, one for each algorithm.
fn cheap() -> impl Iterator<Item = Hasher> {
    [
        (Algorithm::Pbkdf2Sha256, 1),
        (Algorithm::Pbkdf2Sha1, 3),
        (Algorithm::BcryptSha256, 4),
        (Algorithm::Bcrypt, 4),
        (Algorithm::Scrypt, 2),
    ]
    .into_iter()
    .map(|(algorithm, cost)| Hasher::new(algorithm, Some(cost)).unwrap())
}

#[test]
fn passwords_verify_as_in_django() {
    let mut seen = 0;
    for row in [rows("passwords"), rows("more_passwords")].concat() {
        let Some(password) = row["password"].as_str() else {
            continue; // null, which a type of ours cannot be
        };
        seen += 1;
        // Where Django raises (no "verifies"), it is wrong for us. The empty
        // password is the one that we decide otherwise.
        let expected = row["verifies"].as_bool().unwrap_or(false) && !password.is_empty();
        let verified = verify(text(&row, "encoded"), password);
        assert_eq!(verified, expected, "{}", row["name"]);
    }
    assert_eq!(seen, 79, "vectors were lost");
}

#[test]
fn hashes_are_outdated_as_in_django() {
    let rows_of = |list: &str, field: &str| -> Vec<(String, Value)> {
        let row = |row: &Value| (text(row, "encoded").to_owned(), row[field].clone());
        rows(list).iter().map(row).collect()
    };
    let facts = [
        rows_of("must_update", "preferred"),
        rows_of("more_passwords", "must_update"),
    ]
    .concat();
    let seen = check_must_update(&facts, &texts_that_verify());
    assert!(seen > 500, "{seen}");
}

/// Compares with what Django said of each text to each preferred hasher; how often.
fn check_must_update(facts: &[(String, Value)], sound: &[String]) -> usize {
    let mut seen = 0;
    for (encoded, preferred) in facts {
        for fact in preferred.as_array().unwrap() {
            let algorithm = Algorithm::from_name(fact[0].as_str().unwrap()).unwrap();
            let cost = u32::try_from(fact[1].as_u64().unwrap()).unwrap();
            let hasher = Hasher::new(algorithm, Some(cost)).unwrap();
            let must_update = hasher.must_update(encoded);
            // Of texts that never verify, Django raises for some (null) and
            // calls some outdated: without effect, as no login succeeds by them.
            if algorithm_of(encoded) != Some(algorithm) || sound.contains(encoded) {
                assert_eq!(Value::from(must_update), fact[2], "{fact} {encoded}");
            }
            seen += 1;
        }
    }
    seen
}

#[test]
fn hashes_that_django_6_1_makes_verify_and_are_outdated_as_there() {
    let vectors = load_hashes_of_6_1();
    let made = vectors["made"].as_array().unwrap();
    for row in made {
        let (encoded, password) = (text(row, "encoded"), text(row, "password"));
        assert!(verify(encoded, password), "{encoded}");
        assert!(!verify(encoded, "another"), "{encoded}");
    }
    let facts = |row: &Value| (text(row, "encoded").to_owned(), row["must_update"].clone());
    let facts: Vec<_> = made.iter().map(facts).collect();
    let sound: Vec<String> = facts.iter().map(|(encoded, _)| encoded.clone()).collect();
    assert_eq!(check_must_update(&facts, &sound), 18 * 12, "a row was lost");
}

/// So what the tests above show of 5.2's answers, they show of 6.1's.
#[test]
fn django_6_1_answers_as_5_2_did() {
    let rows = [
        rows("passwords"),
        rows("more_passwords"),
        rows("must_update"),
    ]
    .concat();
    let vectors = load_hashes_of_6_1();
    let again = vectors["again"].as_array().unwrap();
    assert_eq!(rows.len(), again.len());
    for (row, again) in rows.iter().zip(again) {
        assert_eq!(row["encoded"], again["encoded"]);
        if row["password"].is_string() {
            assert_eq!(row["verifies"], again["verifies"], "{again}");
        }
    }
    let facts = |row: &Value| (text(row, "encoded").to_owned(), row["must_update"].clone());
    let facts: Vec<_> = again.iter().map(facts).collect();
    check_must_update(&facts, &texts_that_verify());
}

/// The column texts that some password fits.
fn texts_that_verify() -> Vec<String> {
    [rows("passwords"), rows("more_passwords")]
        .concat()
        .iter()
        .filter(|row| row["verifies"] == true)
        .map(|row| text(row, "encoded").to_owned())
        .collect()
}

#[test]
fn new_hashes_have_djangos_shape() {
    let vectors = load();
    for algorithm in Algorithm::ALL {
        let example = text(&vectors["password_shapes"][algorithm.name()], "example");
        let preferred = Hasher::new(algorithm, None).unwrap();
        let is_pbkdf2 = algorithm.name().starts_with("pbkdf2");
        let hasher = Hasher::new(algorithm, is_pbkdf2.then_some(7)).unwrap();

        let made = hasher.make("correct horse", &mut rand::rng()).unwrap();

        assert_eq!(blank(&made.replace("$7$", "$1000000$")), blank(example));
        assert!(!preferred.must_update(example), "{example}");
        assert!(!hasher.must_update(&made), "{made}");
        assert_eq!(preferred.must_update(&made), is_pbkdf2, "{made}");
        assert!(verify(&made, "correct horse"), "{made}");
        assert!(is_pbkdf2 || verify(example, "correct horse"), "{example}");
    }
}

/// The text with everything random replaced, to compare shapes.
fn blank(encoded: &str) -> String {
    let field = |field: &str| {
        if field.len() < 22 || field.contains(',') {
            return field.to_owned();
        }
        let padding = field.len() - field.trim_end_matches('=').len();
        format!("{}+{padding}", field.len())
    };
    encoded.split('$').map(field).collect::<Vec<_>>().join("$")
}

#[test]
fn salts_are_new_each_time() {
    for hasher in cheap() {
        let [one, two] = [(), ()].map(|()| hasher.make("pw", &mut rand::rng()).unwrap());
        assert_ne!(one, two);
    }
}

#[test]
fn the_empty_password_never_verifies() {
    for hasher in cheap() {
        let encoded = hasher.make("", &mut rand::rng()).unwrap();
        assert!(!verify(&encoded, ""), "{encoded}");
        assert!(!check(Some(&encoded), "", true, &Workload::new(&hasher)));
    }
    for encoded in ["", "!", "$", "$$", "pbkdf2_sha256$", "bcrypt"] {
        assert!(!verify(encoded, ""), "{encoded}");
    }
}

#[test]
fn unusable_passwords_are_unusable() {
    let encoded = unusable(&mut rand::rng());

    assert_eq!(encoded.len(), 41);
    assert!(!is_usable(&encoded));
    assert!(!verify(&encoded, &encoded));
    assert!(!verify(&encoded, encoded.trim_start_matches('!')));
    assert!(is_usable(""));
    assert!(is_usable("pbkdf2_sha256$1$a$b"));
    // A disabled account keeps its hash behind the mark, and stays disabled.
    let disabled = format!(
        "!{}",
        cheap()
            .next()
            .unwrap()
            .make("pw", &mut rand::rng())
            .unwrap()
    );
    assert!(!verify(&disabled, "pw"));
    assert!(!cheap().any(|hasher| hasher.must_update(&disabled)));
}

#[test]
fn bcrypt_alone_refuses_long_passwords() {
    let long = "x".repeat(73);
    for hasher in cheap() {
        let made = hasher.make(&long, &mut rand::rng());
        if hasher.algorithm == Algorithm::Bcrypt {
            assert_eq!(made, Err(MakeError::TooLong));
            let short = hasher.make(&long[..72], &mut rand::rng()).unwrap();
            assert!(verify(&short, &long[..72]));
            assert!(!verify(&short, &long));
        } else {
            let made = made.unwrap();
            assert!(verify(&made, &long));
            assert!(!verify(&made, &long[..72]));
        }
    }
}

#[test]
fn costs_out_of_range_are_refused_with_the_range() {
    for (algorithm, cost, line) in [
        (
            Algorithm::Bcrypt,
            3,
            "bcrypt takes a cost of 4 to 17 (log2 of the rounds), not 3",
        ),
        (
            Algorithm::BcryptSha256,
            18,
            "bcrypt_sha256 takes a cost of 4 to 17 (log2 of the rounds), not 18",
        ),
        (
            Algorithm::Pbkdf2Sha256,
            0,
            "pbkdf2_sha256 takes a cost of 1 to 20000000 (iterations), not 0",
        ),
        (
            Algorithm::Pbkdf2Sha1,
            u32::MAX,
            "pbkdf2_sha1 takes a cost of 1 to 20000000 (iterations), not 4294967295",
        ),
        (
            Algorithm::Argon2,
            0,
            "argon2 takes a cost of 1 to 100 (passes), not 0",
        ),
        (
            Algorithm::Scrypt,
            19,
            "scrypt takes a cost of 1 to 18 (log2 of n), not 19",
        ),
    ] {
        assert_eq!(Hasher::new(algorithm, Some(cost)), Err(line.to_owned()));
    }
}

/// All of these would take minutes or gigabytes if they were tried.
#[test]
fn stored_costs_beyond_use_are_false_at_once() {
    let start = std::time::Instant::now();
    let (salt, b64) = ("fixedSaltfixedSaltfixe", "Zml4ZWRTYWx0Zml4ZWRTYWx0Zml4ZQ");
    let bcrypt = "abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
    for encoded in [
        format!("pbkdf2_sha256$2000000000${salt}$AAAA"),
        format!("pbkdf2_sha256$20000001${salt}$AAAA"),
        format!("pbkdf2_sha1$99999999999999999999${salt}$AAAA"),
        format!("argon2$argon2id$v=19$m=4294967295,t=1,p=1${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=524289,t=1,p=1${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=8,t=4294967295,p=1${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=102400,t=101,p=8${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=1024,t=1,p=4294967295${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=1024,t=1,p=536870912${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=0,t=0,p=0${b64}${b64}"),
        format!("bcrypt$$2b$31${bcrypt}"),
        format!("bcrypt_sha256$$2b$18${bcrypt}"),
        format!("bcrypt_sha256$$2b$00${bcrypt}"),
        format!("bcrypt_sha256$$2b$99${bcrypt}"),
        format!("scrypt$1073741824${salt}$8$1$AAAA"),
        format!("scrypt$16384${salt}$4294967295$4294967295$AAAA"),
        format!("scrypt$2${salt}$1$8388609$AAAA"),
        format!("scrypt$524288${salt}$8$5$AAAA"),
        format!("scrypt$131072${salt}$8$17$AAAA"),
        format!("scrypt$1048576${salt}$8$1$AAAA"),
        format!("scrypt$2147483648${salt}$1$1$AAAA"),
        format!("scrypt$16383${salt}$8$5$AAAA"),
        format!("scrypt$16384${salt}$0$5$AAAA"),
        format!("scrypt$16384${salt}$8$0$AAAA"),
        format!("scrypt$1${salt}$8$5$AAAA"),
        format!("pbkdf2_sha256$1${}$AAAA", "s".repeat(100_000)),
    ] {
        assert_eq!(Work::of(&encoded), None, "{encoded}");
        assert!(!verify(&encoded, "x"));
    }
    assert!(start.elapsed().as_millis() < 1_000, "{:?}", start.elapsed());
}

/// Django's own panic-makers, and ours.
#[test]
fn corrupt_hashes_are_false() {
    for encoded in [
        "pbkdf2_sha256",
        "pbkdf2_sha256$",
        "pbkdf2_sha256$1",
        "pbkdf2_sha256$1$salt",
        "pbkdf2_sha256$1$$AAAA",
        "pbkdf2_sha256$-1$salt$AAAA",
        "argon2",
        "argon2$",
        "argon2$argon2id",
        "argon2$argon2id$v=19$m=8,t=1,p=1$c2FsdA$AAAA",
        "argon2$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$",
        "argon2$argon2id$v=20$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAA",
        "argon2$argon2x$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAA",
        "argon2$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAA$",
        "bcrypt$",
        "bcrypt$$2b$04$",
        "bcrypt$$2b$+4$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "bcrypt$$2b$04$abcdefghijklmnopqrstuv\u{e9}ydOTSfIH/d5oUHpsygqV5X9xJLQc6",
        "bcrypt$\u{1F600}\u{1F600}",
        "bcrypt_sha256$$2b$\u{e9}$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "scrypt$",
        "scrypt$2$$1$1$AAAA",
        "scrypt$2$salt$1$1",
        "md5$salt$e52cf713193460fea2740c8638c0770c",
        "PBKDF2_SHA256$1$salt$AAAA",
        "\0",
    ] {
        assert_eq!(Work::of(encoded), None, "{encoded}");
        for hasher in cheap() {
            let other = algorithm_of(encoded).is_some_and(|name| name != hasher.algorithm);
            assert_eq!(hasher.must_update(encoded), other, "{encoded}");
        }
    }
}

/// Django refuses to hash without a salt, so it has made no such hash.
#[test]
fn a_hash_without_a_salt_is_false() {
    let algorithm = Algorithm::Pbkdf2Sha256;
    for encoded in [
        pbkdf2::encode(algorithm, "pw", "", 1),
        scrypt::encode("pw", "", scrypt::work(1)).unwrap(),
    ] {
        assert!(!verify(&encoded, "pw"), "{encoded}");
    }
}

#[test]
fn algorithms_have_djangos_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(algorithm_of(&format!("{algorithm}$x")), Some(algorithm));
        assert_eq!(algorithm.to_string(), algorithm.name());
    }
    for encoded in ["", "$", "md5$$", "Bcrypt$", "!bcrypt$", "bcrypt "] {
        assert_eq!(algorithm_of(encoded), None, "{encoded}");
    }
}

#[test]
fn every_refusal_does_the_work_of_all() {
    let hasher = |algorithm, cost| Hasher::new(algorithm, Some(cost)).unwrap();
    let mut users: Vec<String> = [
        (Algorithm::BcryptSha256, 4),
        (Algorithm::BcryptSha256, 7),
        (Algorithm::Bcrypt, 6),
        (Algorithm::Pbkdf2Sha256, 260),
        (Algorithm::Pbkdf2Sha256, 1000),
        (Algorithm::Pbkdf2Sha1, 15),
        (Algorithm::Scrypt, 1),
        (Algorithm::Scrypt, 5),
    ]
    .map(|(algorithm, cost)| hasher(algorithm, cost).make("right", &mut rand::rng()))
    .map(Result::unwrap)
    .into();
    // Django's own memory would take too long here.
    users.extend([1, 3].map(|passes| {
        format!("argon2$argon2id$v=19$m=64,t={passes},p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo")
    }));
    let mut workload = Workload::new(&hasher(Algorithm::BcryptSha256, 5));
    for work in users.iter().filter_map(|user| Work::of(user)) {
        assert!(workload.include(work));
    }
    let work_of = |encoded: Option<&str>, password: &str, may_pass| {
        DONE.take();
        let passes = check(encoded, password, may_pass, &workload);
        (passes, workload.total(DONE.take()))
    };

    let (_, unknown) = work_of(None, "wrong", true);
    assert!(unknown.iter().all(|amount| *amount > 0), "{unknown:?}");
    let long = "x".repeat(100);
    for user in users
        .iter()
        .map(String::as_str)
        .chain(["", "!", "md5$a$b", "bcrypt$junk"])
    {
        for password in ["wrong", "", &long] {
            assert_eq!(
                work_of(Some(user), password, true),
                (false, unknown.clone()),
                "{user}"
            );
        }
        // The account is closed, whether or not the password fits.
        assert_eq!(
            work_of(Some(user), "right", false),
            (false, unknown.clone()),
            "{user}"
        );
    }
    // A good login does its own work and no more.
    let (passes, own) = work_of(Some(&users[0]), "right", true);
    assert!(passes);
    assert_eq!(own.iter().sum::<u64>(), 16);
}

/// Texts near the real ones: fields of hashes, mixed and bent.
fn nearly_encoded() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        Just("".to_owned()),
        "(pbkdf2_sha256|pbkdf2_sha1|argon2|bcrypt_sha256|bcrypt|scrypt|!)",
        "(argon2id|argon2i|argon2d|v=19|v=16|2b|2a|2y)",
        "m=[0-9]{1,3},t=[0-9]{1,2},p=[0-9]",
        "[0-9]{1,3}",
        "[./A-Za-z0-9]{22}|[./A-Za-z0-9]{53}|[A-Za-z0-9+/]{43}=?",
        "\\PC{0,8}",
    ];
    prop::collection::vec(field, 1..8).prop_map(|fields| fields.join("$"))
}

fn hash_of_one_algorithm() -> impl Strategy<Value = String> {
    prop_oneof![
        "pbkdf2_sha(256|1)\\$[0-9]{0,3}\\$\\PC{0,5}\\$\\PC{0,5}",
        "bcrypt(_sha256)?\\$\\$2[abxyz]\\$0[0-5]\\$[./A-Za-z0-9é]{50,54}",
        "argon2\\$argon2(i|d|id)\\$(v=(16|18|19)\\$)?m=[0-9]{1,3},t=[0-3],p=[0-9]\\$[a-zA-Z0-9]{0,15}\\$[a-zA-Z0-9]{0,15}",
        "scrypt\\$(0|1|2|16|64|3)\\$\\PC{0,3}\\$[0-9]\\$[0-9]\\$\\PC{0,5}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_made_verifies_and_nothing_else_does(
        password in "\\PC{1,40}|[\u{0}-\u{7f}]{1,71}", other in "\\PC{1,40}",
    ) {
        // Zeros at the end, and repetition across them, are the same password to
        // HMAC and bcrypt.
        prop_assume!(!password.contains('\0'));
        prop_assume!(password != other && password.len() <= 72 && other.len() <= 64);
        for hasher in cheap() {
            let encoded = hasher.make(&password, &mut rand::rng()).unwrap();
            prop_assert!(verify(&encoded, &password));
            prop_assert!(!verify(&encoded, &other));
            let workload = Workload::new(&hasher);
            prop_assert!(check(Some(&encoded), &password, true, &workload));
            prop_assert!(!check(Some(&encoded), &password, false, &workload));
            prop_assert!(!check(Some(&encoded), &other, true, &workload));
            prop_assert!(!hasher.must_update(&encoded));
        }
    }
}

proptest! {
    #[test]
    fn any_stored_text_is_answered_without_panic(
        encoded in prop_oneof![any::<String>(), nearly_encoded(), hash_of_one_algorithm()],
        password in any::<String>(),
    ) {
        let _ = verify(&encoded, &password);
        for hasher in cheap() {
            let _ = hasher.must_update(&encoded);
        }
    }

    #[test]
    fn any_stored_bytes_are_answered_without_panic(
        name in "(pbkdf2_sha256|argon2|bcrypt|scrypt)", bytes in prop::collection::vec(any::<u8>(), 0..128),
    ) {
        let junk = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert!(!verify(&junk, "x"));
        prop_assert!(!verify(&[name, junk].join("$"), "x"));
    }

    #[test]
    fn a_changed_hash_never_verifies(at in any::<prop::sample::Index>(), to in "[./a-zA-Z0-9$]") {
        let encoded = "bcrypt$$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
        // Digits of the cost and the letter of the version have equals.
        let at = 14 + at.index(encoded.len() - 14);
        prop_assume!(encoded[at..=at] != to);
        let changed = format!("{}{to}{}", &encoded[..at], &encoded[at + 1..]);
        prop_assert!(verify(encoded, "correct horse"));
        prop_assert!(!verify(&changed, "correct horse"));
    }
}

#[test]
fn a_cost_has_all_parameters_of_its_algorithm() {
    for (algorithm, cost, start) in [
        (
            Algorithm::Argon2,
            "m=1024,t=3,p=2",
            "argon2$argon2id$v=19$m=1024,t=3,p=2$",
        ),
        (Algorithm::Scrypt, "n=32,r=4,p=2", "scrypt$32$"),
        (Algorithm::Pbkdf2Sha256, "7", "pbkdf2_sha256$7$"),
        (Algorithm::BcryptSha256, "4", "bcrypt_sha256$$2b$04$"),
    ] {
        let hasher = Hasher::parse(algorithm, cost).unwrap();
        let encoded = hasher.make("a password", &mut rand::rng()).unwrap();
        assert!(encoded.starts_with(start), "{encoded}");
        assert!(verify(&encoded, "a password"));
        assert_eq!(Hasher::of(&encoded), Some(hasher), "{cost}");
        assert!(!hasher.must_update(&encoded) && !hasher.would_weaken(&encoded));
    }
    for (algorithm, cost) in [
        (Algorithm::Argon2, "m=1024,t=3"),
        (Algorithm::Argon2, "m=4294967295,t=3,p=1"),
        (Algorithm::Scrypt, "n=33,r=8,p=1"),
        (Algorithm::Pbkdf2Sha256, "m=1024,t=3,p=2"),
        (Algorithm::BcryptSha256, "99"),
        (Algorithm::BcryptSha256, "many"),
    ] {
        assert!(Hasher::parse(algorithm, cost).is_err(), "{cost}");
    }
}

#[test]
fn only_more_work_of_the_same_algorithm_would_be_weakened() {
    let [low, high] =
        [10, 20].map(|cost| Hasher::new(Algorithm::Pbkdf2Sha256, Some(cost)).unwrap());
    let other = Hasher::new(Algorithm::BcryptSha256, Some(4)).unwrap();
    let encoded = high.make("a password", &mut rand::rng()).unwrap();
    assert!(low.would_weaken(&encoded));
    assert!(!high.would_weaken(&encoded) && !other.would_weaken(&encoded));
    assert!(!low.would_weaken("!unusable") && Hasher::of("md5$a$b").is_none());
}
