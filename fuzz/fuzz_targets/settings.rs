//! The texts of settings, and new passwords.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::password::validation::{Owner, Policy};
use portcullis::db::{DatabaseUrl, UserTable};

fuzz_target!(|input: (&str, &str)| {
    let (text, other) = input;
    let _ = DatabaseUrl::parse(text);
    let secret = "hunter2hunter2";
    if let Ok(url) = DatabaseUrl::parse(&format!("postgres://u:{secret}@{text}")) {
        assert!(!url.to_string().contains(secret), "{text:?}");
    }
    if UserTable::parse(text).is_ok() {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        assert!(text.chars().all(is_plain), "{text:?}");
    }
    let owner = Owner {
        username: other,
        ..Owner::default()
    };
    let problems = Policy::new(8, Vec::new()).problems(text, &owner);
    if problems.is_empty() {
        assert!(text.chars().count() >= 8 && text.len() <= 4096);
    }
});
