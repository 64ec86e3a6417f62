//! Django's URL-safe base64 and its base62.
#![no_main]

use django_auth::signing::{base62_encode, base64_decode, base64_encode, is_base62};
use libfuzzer_sys::fuzz_target;

const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fuzz_target!(|bytes: &[u8]| {
    let encoded = base64_encode(bytes);
    assert_eq!(encoded.len(), (bytes.len() * 4).div_ceil(3));
    assert_eq!(base64_decode(&encoded).as_deref(), Some(bytes));

    // Each value has one text only: two would be two signatures that are right.
    let text = String::from_utf8_lossy(bytes);
    if let Some(decoded) = base64_decode(&text) {
        assert_eq!(base64_encode(&decoded), text);
    }

    if let Some(number) = bytes.first_chunk().copied().map(i64::from_le_bytes) {
        let written = base62_encode(number);
        assert!(is_base62(&written) && number_in(&written) == Some(number.into()));
    }
    let is_number = number_in(&text).is_some();
    assert!(text.len() > 12 || is_base62(&text) == is_number, "{text:?}");
    assert!(!is_base62(&text) || text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
});

/// The number in a text of base 62, up to a length that cannot overflow.
fn number_in(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.len() > 12 {
        return None;
    }
    let value = digits.chars().try_fold(0_i128, |sum, digit| {
        let place = i128::try_from(DIGITS.find(digit)?).ok()?;
        Some(sum * 62 + place)
    })?;
    Some(if text.starts_with('-') { -value } else { value })
}
