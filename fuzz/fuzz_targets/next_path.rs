//! `next`: whatever is kept stays on this site, says the browsers' URL standard.
#![no_main]

use actix_web::http::header::HeaderValue;
use libfuzzer_sys::fuzz_target;
use portcullis::http::request::next_path::{DEFAULT, NextPath};
use url::Url;

fuzz_target!(|text: &str| {
    let next = NextPath::parse(text);
    let kept = next.as_str();
    if kept.is_empty() {
        assert_eq!(next.or_default(), DEFAULT);
    } else {
        // As it was sent, or not at all; and as it is, it may be a header.
        assert_eq!(kept, text);
        assert!(kept.len() <= 2048 && kept.starts_with('/') && !kept.starts_with("//"));
        assert!(kept.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
        assert!(HeaderValue::from_str(kept).is_ok());
        assert_eq!(NextPath::parse(kept), next);
    }
    for base in [
        "https://login.example.org/login/",
        "http://127.0.0.1:8000/a/b",
    ] {
        let base = Url::parse(base).unwrap();
        let joined = base.join(next.or_default()).expect("a path");
        assert_eq!(joined.origin(), base.origin(), "{text:?}");
        assert!(joined.username().is_empty() && joined.password().is_none());
        // A script that follows the path alone, as from location.pathname, stays
        // here as well.
        let again = base.join(joined.path()).expect("a path");
        assert_eq!(again.origin(), base.origin(), "{text:?}");
    }
    // What is plainly a path of ours is kept.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_=?&".contains(&b);
    if text.len() < 2048 && text.bytes().all(plain) {
        let path = format!("/{text}");
        assert_eq!(NextPath::parse(&path).as_str(), path);
    }
});
