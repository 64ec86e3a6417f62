//! Tokens, session keys, devices, and what the database holds for them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::{Device, SessionKey, Token};
use portcullis::django::{SecretKey, SecretKeys};
use portcullis::models::UserId;
use portcullis::settings::Storage;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let secret = SecretKey::new("a key of the fuzzer's own".into());
    Keyring::new(Storage::Sealed, &SecretKeys::new(secret, Vec::new()))
});

fuzz_target!(|input: (&str, i64)| {
    let (text, user) = input;
    if let Some(token) = KEYRING.recover_token(UserId(user), text) {
        // Only from a row that we made, and for its owner.
        assert_eq!(KEYRING.token_row_key(&token), text);
        assert_eq!(token.expose().len(), 40);
    }
    if let Some(token) = Token::parse(text) {
        let row = KEYRING.token_row_key(&token);
        assert!(row.len() == 40 && row.starts_with('$') && row != text);
        assert!(Token::parse(&row).is_none() && SessionKey::parse(&row).is_none());
    }
    if let Some(key) = SessionKey::parse(text) {
        let row = KEYRING.session_row_key(&key);
        assert!(row.len() == 40 && row.starts_with('$'));
        assert!(Token::parse(&row).is_none() && SessionKey::parse(&row).is_none());
    }
    if let Some(device) = Device::parse(text) {
        assert_eq!(device.expose(), text);
    }
});
