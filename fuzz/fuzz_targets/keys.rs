//! Tokens, session keys, devices, and what the database holds for them.
#![no_main]

use std::sync::LazyLock;

use django_auth::{SecretKey, SecretKeys};
use libfuzzer_sys::fuzz_target;
use portcullis::auth::Storage;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::{Device, SessionKey, Token};
use portcullis::models::UserId;
use rand::SeedableRng;
use rand::rngs::StdRng;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| keyring(Storage::Sealed));
static IN_CLEAR: LazyLock<Keyring> = LazyLock::new(|| keyring(Storage::Django));

fn keyring(storage: Storage) -> Keyring {
    let secret = SecretKey::new("a key of the fuzzer's own".into());
    Keyring::new(storage, &SecretKeys::new(secret, Vec::new()))
}

fuzz_target!(|text: &str| {
    let seed = text
        .bytes()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let user = i64::from_ne_bytes(seed.to_ne_bytes());

    // Nobody but us can make a sealed row that gives a token.
    let sealed = format!("${text}");
    assert!(
        KEYRING
            .recover_token(&UserId::Integer(user), &sealed)
            .is_none()
    );
    assert!(KEYRING.decrypt(text, &sealed).is_none());
    ours(seed, user);

    if let Some(token) = Token::parse(text) {
        let row = KEYRING.token_row_key(&token);
        is_row_key(&row, text);
        // Row keys differ where wire keys do, if only in their last letter.
        let (start, _) = text.split_at(text.len() - 1);
        for last in ["0", "a"].iter().filter(|last| !text.ends_with(**last)) {
            if let Some(other) = Token::parse(&format!("{start}{last}")) {
                assert_ne!(KEYRING.token_row_key(&other), row);
            }
        }
        assert_eq!(IN_CLEAR.token_row_key(&token), text);
    }
    if let Some(key) = SessionKey::parse(text) {
        assert!((8..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()));
        let row = KEYRING.session_row_key(&key);
        is_row_key(&row, text);
        assert!(!row.contains(text));
        assert_eq!(IN_CLEAR.session_row_key(&key), text);
    }
    if let Some(device) = Device::parse(text) {
        assert_eq!(device.expose(), text);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
});

/// A token of our own comes back from its row, for its owner and nobody else,
/// and only while the row is whole.
fn ours(seed: u64, owner: i64) {
    let (owner, stranger) = (UserId::Integer(owner), UserId::Integer(owner ^ 1));
    let token = KEYRING.new_token(&owner, &mut StdRng::seed_from_u64(seed));
    let is_lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    assert!(token.expose().len() == 40 && token.expose().bytes().all(is_lower_hex));

    let row = KEYRING.token_row_key(&token);
    let again = KEYRING.recover_token(&owner, &row).expect("our own row");
    assert_eq!(again.expose(), token.expose());
    assert!(KEYRING.recover_token(&stranger, &row).is_none());

    let mut changed = row.into_bytes();
    let at = usize::try_from(seed % 40).unwrap();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    // Without its `$` it is plaintext, and another token.
    let given = KEYRING.recover_token(&owner, &changed);
    assert!(given.is_none_or(|given| given.expose() == changed));
}

/// 40 characters that nobody can present.
fn is_row_key(row: &str, wire: &str) {
    assert!(row.len() == 40 && row.starts_with('$') && row != wire);
    assert!(Token::parse(row).is_none() && SessionKey::parse(row).is_none());
    assert!(Device::parse(row).is_none());
}
