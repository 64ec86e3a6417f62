//! Django's URL-safe base64 and its base62.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::django::signing::{base62_encode, base64_decode, base64_encode, is_base62};

fuzz_target!(|input: (&[u8], &str, i64)| {
    let (bytes, text, number) = input;
    let encoded = base64_encode(bytes);
    assert_eq!(base64_decode(&encoded).as_deref(), Some(bytes));
    if let Some(decoded) = base64_decode(text) {
        assert!(decoded.len() <= text.len());
    }
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    assert!(!is_base62(text) || is_plain || text.starts_with('-'));
    assert!(is_base62(&base62_encode(number)));
});
