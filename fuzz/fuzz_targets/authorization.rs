//! `Authorization` headers, and the token in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::Token;
use portcullis::http::authentication::token_in;

fuzz_target!(|header: &[u8]| {
    if let Ok(Some(text)) = token_in(header) {
        assert!(header.len() > text.len() && header[..5.min(header.len())].len() == 5);
        if let Some(token) = Token::parse(text) {
            let key = token.expose();
            assert!((1..=40).contains(&key.len()) && !key.starts_with('$'));
            assert!(key.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
});
