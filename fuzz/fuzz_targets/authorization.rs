//! `Authorization` headers, and the token in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::Token;
use portcullis::http::request::authorization::token_in;

fuzz_target!(|header: &[u8]| {
    let found = token_in(header);
    // DRF's rules once more, on text, where Rust splits as Python's bytes do.
    if let Ok(text) = std::str::from_utf8(header) {
        let is_blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
        let words: Vec<&str> = text
            .split(is_blank)
            .filter(|word| !word.is_empty())
            .collect();
        match (words.as_slice(), &found) {
            ([], found) => assert!(matches!(found, Ok(None))),
            ([scheme, rest @ ..], found) if scheme.to_ascii_lowercase() == "token" => {
                match (rest, found) {
                    ([key], Ok(Some(text))) => assert_eq!(key, text),
                    ([] | [_, _, ..], Err(error)) => assert_eq!(error.status().as_u16(), 401),
                    _ => panic!("{text:?}"),
                }
            }
            (_, found) => assert!(matches!(found, Ok(None)), "another scheme: {text:?}"),
        }
    }
    if let Ok(Some(text)) = found
        && let Some(token) = Token::parse(text)
    {
        assert_eq!(token.expose(), text);
        assert!((1..=40).contains(&text.len()) && !text.starts_with('$'));
        assert!(text.bytes().all(|b| b.is_ascii_graphic()));
    }
});
