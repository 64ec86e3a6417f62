//! Secrets, passwords, sessions, and the limits on logging in.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::entry::{key, settings};
use super::parse::{MOST_COUNT, cores, count_or, duration, list, number, one_of, optional};
use crate::auth::Storage;
use django_auth::SecretKey;
use django_auth::password::Algorithm;

const HASHERS: &[(&str, Algorithm)] = &[
    ("bcrypt_sha256", Algorithm::BcryptSha256),
    ("pbkdf2_sha256", Algorithm::Pbkdf2Sha256),
    ("argon2", Algorithm::Argon2),
    ("scrypt", Algorithm::Scrypt),
];

/// A key that someone copied from a guide protects nobody.
const SAMPLES: [&str; 4] = ["secret", "changeme", "change-me", "django-insecure"];

// Use what `Settings` makes of the fields that are not `pub`.
settings! {
    /// Secrets, passwords, sessions, and the limits on logging in.
    pub struct AuthSettings {
        SECRETS {
            /// Django's SECRET_KEY when sharing with Django
            pub(super) secret_key: Option<SecretKey> = key("PORTCULLIS_SECRET_KEY").secret()
                .computed("SQLite: generated once into a 0600 file beside the database; PostgreSQL: required"),
                optional(secret_key);
            /// Old secret keys, comma-separated, still accepted
            pub(super) secret_key_fallbacks: Vec<SecretKey> = key("PORTCULLIS_SECRET_KEY_FALLBACKS").secret(),
                list(secret_key);
            /// sealed: keys digested at rest; django: Django's clear form, to share tables with a
            /// running Django
            pub storage: Storage = key("PORTCULLIS_STORAGE").default("sealed"),
                one_of(&[("sealed", Storage::Sealed), ("django", Storage::Django)]);
        }
        LOGINS {
            /// For new and upgraded hashes: bcrypt_sha256, pbkdf2_sha256, argon2 or scrypt
            pub(super) password_hasher: Option<Algorithm> = key("PORTCULLIS_PASSWORD_HASHER")
                .computed("bcrypt_sha256; on tables that Django made, what most users have"),
                optional(one_of(HASHERS));
            /// Rounds, iterations, time cost or log2 n; or all parameters: m=102400,t=2,p=8
            pub(super) password_cost: Option<String> = key("PORTCULLIS_PASSWORD_COST")
                .computed("12 rounds, 1000000 iterations, argon2 t=2, scrypt 2^14; on tables that Django made, the highest"),
                optional(|text| Ok(text.to_owned()));
            /// Fewest characters of a new password; 15 are better
            pub(super) password_min: usize = key("PORTCULLIS_PASSWORD_MIN").default("8"),
                number(1..=64);
            /// Django's AUTHENTICATION_BACKENDS, comma-separated: whose sessions are accepted;
            /// the first is written
            pub backends: Vec<String> = key("PORTCULLIS_AUTHENTICATION_BACKENDS")
                .default("django.contrib.auth.backends.ModelBackend"), backends;
            /// Longest life of a session
            pub session_age: Duration = key("PORTCULLIS_SESSION_AGE").default("14d"), duration;
            /// Longest idle time of a session
            pub session_idle: Option<Duration> = key("PORTCULLIS_SESSION_IDLE").default("off"),
                |text| if text == "off" { Ok(None) } else { duration(text).map(Some) };
        }
        LIMITS {
            /// off only for load tests and conformance runs
            pub throttle: bool = key("PORTCULLIS_THROTTLE").default("on"),
                one_of(&[("on", true), ("off", false)]);
            /// How long the rows of the audit log are kept
            pub event_age: Duration = key("PORTCULLIS_EVENT_AGE").default("90d"), duration;
            /// Threads that hash passwords
            pub hash_threads: NonZeroUsize = key("PORTCULLIS_HASH_THREADS").computed("cores"),
                count_or(cores(), MOST_COUNT);
            /// Passwords waiting to be hashed; more get 503
            pub hash_queue: NonZeroUsize = key("PORTCULLIS_HASH_QUEUE").computed("64"),
                count_or(64, MOST_COUNT);
            /// How far hashing gives way to answering: 0, not at all, to 19
            pub hash_nice: u8 = key("PORTCULLIS_HASH_NICE").default("10"), number(0..=19);
        }
    }
}

fn secret_key(text: &str) -> Result<SecretKey, String> {
    if SAMPLES.contains(&text) {
        return Err("is a sample value; use 50 random characters".to_owned());
    }
    Ok(SecretKey::new(text.to_owned()))
}

fn backends(text: &str) -> Result<Vec<String>, String> {
    let is_path = |path: &str| path.contains('.') && !path.contains(char::is_whitespace);
    let paths = list(|path| {
        let path = path.to_owned();
        if is_path(&path) {
            Ok(path)
        } else {
            Err(format!("`{path}` is no dotted path"))
        }
    })(text)?;
    if paths.is_empty() {
        return Err("must name at least one backend".to_owned());
    }
    Ok(paths)
}
