//! `next`: whatever is kept stays on this site, says the browsers' URL standard.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::http::next_path::NextPath;
use url::Url;

fuzz_target!(|text: &str| {
    let next = NextPath::parse(text);
    let kept = next.as_str();
    if !kept.is_empty() {
        assert!(kept.starts_with('/') && !kept.starts_with("//"));
        assert!(!kept.contains(['\\', '\r', '\n', '\t', '\0']));
    }
    for base in ["https://login.example.org/login/", "http://127.0.0.1:8000/a/b"] {
        let base = Url::parse(base).unwrap();
        let joined = base.join(next.or_default()).expect("a path");
        assert_eq!(joined.origin(), base.origin(), "{text:?}");
    }
});
