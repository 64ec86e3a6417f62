//! The pure functions of a check and of a login: `cargo bench`.

// Criterion's macros make public functions.
#![allow(missing_docs, reason = "there is nothing to read about here")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use django_auth::password::{self, Algorithm, Hasher};
use django_auth::{SecretKey, SecretKeys, SessionAuthHash, SessionCodec, SessionData};
use portcullis::auth::Storage;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::{SessionKey, Token};
use portcullis::http::request::authorization::token_in;
use portcullis::models::UserId;
use rand::SeedableRng;
use rand::rngs::StdRng;

const PASSWORD: &str = "correct horse battery staple";

fn secrets() -> SecretKeys {
    SecretKeys::new(SecretKey::new("k".repeat(50)), Vec::new())
}

fn tokens(c: &mut Criterion) {
    let keyring = Keyring::new(Storage::Sealed, &secrets());
    let token = keyring.new_token(&UserId::Integer(7), &mut StdRng::seed_from_u64(1));
    let row = keyring.token_row_key(&token);
    let header = format!("Token {}", token.expose());

    c.bench_function("token: parse the header", |b| {
        b.iter(|| token_in(black_box(header.as_bytes())));
    });
    c.bench_function("token: parse the key", |b| {
        b.iter(|| Token::parse(black_box(token.expose())));
    });
    c.bench_function("token: seal", |b| {
        b.iter(|| keyring.token_row_key(black_box(&token)));
    });
    c.bench_function("token: make again from its row", |b| {
        b.iter(|| keyring.recover_token(&UserId::Integer(7), black_box(&row)));
    });
}

fn sessions(c: &mut Criterion) {
    let keyring = Keyring::new(Storage::Sealed, &secrets());
    let key = SessionKey::random(&mut StdRng::seed_from_u64(1));
    let codec = SessionCodec::new(&secrets());
    let auth_hash = SessionAuthHash::new(&secrets());
    let encoded = "pbkdf2_sha256$1000000$abcdefghijklmnopqrstuv$QdJh0G0uQ1h5rN0FvN0cXbq1QWm0";
    let hash = auth_hash.of(encoded);
    let data: SessionData = [
        ("_auth_user_id", "7"),
        (
            "_auth_user_backend",
            "django.contrib.auth.backends.ModelBackend",
        ),
        ("_auth_user_hash", &hash),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.into()))
    .collect();
    let stored = codec.encode(&data, 1_795_440_196);

    c.bench_function("session: seal the key", |b| {
        b.iter(|| keyring.session_row_key(black_box(&key)));
    });
    c.bench_function("session: decode", |b| {
        b.iter(|| codec.decode(black_box(&stored)));
    });
    c.bench_function("session: encode", |b| {
        b.iter(|| codec.encode(black_box(&data), 1_795_440_196));
    });
    c.bench_function("session: verify its hash", |b| {
        b.iter(|| auth_hash.verify(black_box(encoded), &hash));
    });
}

/// Each at Django's default cost, as a login pays it.
fn passwords(c: &mut Criterion) {
    let mut group = c.benchmark_group("password: verify");
    group.sample_size(10);
    for (name, algorithm) in [
        ("bcrypt_sha256, 12 rounds", Algorithm::BcryptSha256),
        ("pbkdf2_sha256, 1,000,000", Algorithm::Pbkdf2Sha256),
        ("argon2, t=2", Algorithm::Argon2),
        ("scrypt, 2^14", Algorithm::Scrypt),
    ] {
        let hasher = Hasher::new(algorithm, None).expect("the default cost");
        let encoded = hasher
            .make(PASSWORD, &mut StdRng::seed_from_u64(1))
            .expect("a hash");
        group.bench_function(name, |b| {
            b.iter(|| assert!(password::verify(black_box(&encoded), PASSWORD)));
        });
    }
    group.finish();
}

criterion_group!(benches, tokens, sessions, passwords);
criterion_main!(benches);
