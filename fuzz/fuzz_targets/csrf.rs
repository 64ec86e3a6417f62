//! CSRF tokens, masked and not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::django::csrf::{check_format, mask, matches};

fuzz_target!(|input: (&str, &str)| {
    let (sent, cookie) = input;
    if matches(sent, cookie) {
        assert!(check_format(sent).is_ok() && check_format(cookie).is_ok());
    }
    if check_format(sent).is_ok() {
        assert!([32, 64].contains(&sent.len()));
        assert!(sent.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(matches(sent, sent));
        if sent.len() == 32 {
            let masked = mask(sent, &mut rand::rng());
            assert!(matches(&masked, sent) && matches(sent, &masked));
        }
    }
});
