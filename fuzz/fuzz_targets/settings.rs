//! The texts of settings, and new passwords. What is below the first line is a
//! user's name, and its length chooses which setting the first line is for.
#![no_main]

use std::time::Duration;

use django_auth::password::validation::{Owner, Policy};
use libfuzzer_sys::fuzz_target;
use portcullis::db::DatabaseUrl;
use portcullis::models::{TableName, parse_column};
use portcullis::settings::{KEYS, Settings, Values};

const SECRET: &str = "hunter2hunter2";

fuzz_target!(|input: &str| {
    let (text, other) = input.split_once('\n').unwrap_or((input, ""));
    let _ = DatabaseUrl::parse(text);
    // An address is read without them, so they can hide it.
    let plain = text.replace(['\t', '\r'], "");
    if !plain.contains(SECRET)
        && let Ok(url) = DatabaseUrl::parse(&format!("postgres://u:{SECRET}@{text}"))
    {
        assert!(!url.to_string().contains(SECRET), "{text:?}");
        assert!(!format!("{url:?}").contains(SECRET), "{text:?}");
    }
    // What is put between quotes in SQL.
    if TableName::parse(text).is_ok() || parse_column(text).is_ok() {
        assert!(!text.contains(['"', '\0', '\n']), "{text:?}");
    }
    one_setting(KEYS[other.len() % KEYS.len()].name, text);

    let owner = Owner {
        username: other,
        ..Owner::default()
    };
    let problems = Policy::new(8, Vec::new()).problems(text, &owner);
    if problems.is_empty() {
        assert!(text.chars().count() >= 8 && text.len() <= 4096);
        assert!(!text.bytes().all(|b| b.is_ascii_digit()), "{text:?}");
        assert!(!text.eq_ignore_ascii_case(other), "{text:?}");
    }
});

/// Any text is a setting of the right shape, or one line that says why not.
fn one_setting(name: &str, text: &str) {
    // That one reads a file beside the database.
    if name == "DATABASE_URL" {
        return;
    }
    let flags = [
        ("DATABASE_URL", "postgres://u@localhost/d"),
        (
            "PORTCULLIS_SECRET_KEY",
            "a key of the fuzzer's own, and long enough for it",
        ),
        (name, text),
    ];
    let flags = flags.map(|(name, text)| (name, text.to_owned()));
    let settings = match Settings::for_looking(Values::from_flags(flags).expect("its name")) {
        Ok(settings) => settings,
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with(name), "{line}");
            let is_secret = KEYS.iter().any(|key| key.name == name && key.secret);
            assert!(
                !is_secret || text.len() < 14 || !line.contains(text),
                "{line}"
            );
            return;
        }
    };
    let most = Duration::from_secs(100_000 * 86_400);
    let ages = [
        settings.auth.session_age,
        settings.auth.event_age,
        settings.server.request_timeout,
    ];
    for age in ages.into_iter().chain(settings.auth.session_idle) {
        assert!((Duration::from_secs(1)..=most).contains(&age), "{text:?}");
    }
    for network in &settings.http.trusted_proxies {
        let again: ipnet::IpNet = network.to_string().parse().expect("a network");
        assert_eq!(&again, network);
    }
    for origin in &settings.http.cors_origins {
        assert!(!origin.contains('*') && origin != "null", "{origin}");
        let url = url::Url::parse(origin).expect("an origin");
        assert_eq!(&url.origin().ascii_serialization(), origin);
    }
    for origin in &settings.http.trusted_origins {
        assert!(
            origin.starts_with("https://") || origin.starts_with("http://"),
            "{origin}"
        );
    }
    for host in &settings.http.allowed_hosts {
        assert!(
            host.is_ascii() && !host.contains([' ', '/', '@', '\\', ',']),
            "{host}"
        );
        assert_eq!(host, &host.to_ascii_lowercase());
    }
    if let Some(url) = &settings.server.public_url {
        assert!(url.path() == "/" && url.username().is_empty() && url.password().is_none());
    }
    let cookie = &settings.http.session_cookie;
    assert!(
        (1..=64).contains(&cookie.len()) && cookie != "csrftoken",
        "{cookie}"
    );
    assert!(
        cookie
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    );
    for (name, shown, _) in settings.describe() {
        let is_secret = KEYS.iter().any(|key| key.name == name && key.secret);
        assert!(
            !is_secret || ["", "********"].contains(&shown.as_str()),
            "{name}"
        );
    }
}
