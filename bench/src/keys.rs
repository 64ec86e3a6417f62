//! The keys of seeded users, as the client shows them and as the database holds
//! them. Each is computed from the user's number, so there is no list of them.

use std::io::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compress, Compression, FlushCompress};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

type HmacSha256 = Hmac<Sha256>;

/// How the database holds keys: the server's `PORTCULLIS_STORAGE`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Sealed,
    Django,
}

impl Storage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Django => "django",
        }
    }
}

/// Makes the keys of one database.
pub struct Keys {
    storage: Storage,
    token_key: HmacSha256,
    session_key: HmacSha256,
    /// All users have one password hash, so all sessions hold one hash of it.
    session_hash: String,
    deflate: Compress,
}

impl Keys {
    pub fn new(storage: Storage, secret: &str, password_hash: &str) -> Self {
        let derived = hmac(secret.as_bytes(), b"portcullis.token.verifier");
        let hash_key = salted(
            "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash",
            secret,
        );
        Self {
            storage,
            token_key: keyed(&derived),
            session_key: keyed(&salted(
                "django.contrib.sessions.SessionStoresigner",
                secret,
            )),
            session_hash: hex(&hmac(&hash_key, password_hash.as_bytes())),
            deflate: Compress::new(Compression::default(), true),
        }
    }

    /// The token as a client shows it: 40 hex digits. In sealed storage the last
    /// 24 follow from the user, so that a login finds the same token again.
    pub fn token(&self, user: usize) -> String {
        let mut random = Random::new(user as u64);
        let selector = format!("{:016x}", random.next());
        match self.storage {
            Storage::Django => {
                let rest = format!("{:016x}{:016x}", random.next(), random.next());
                selector + &rest[..24]
            }
            Storage::Sealed => {
                let mut mac = self.token_key.clone();
                mac.update(format!("{user}|{selector}").as_bytes());
                selector + &hex(&mac.finalize().into_bytes())[..24]
            }
        }
    }

    /// The primary key of the token's row.
    pub fn token_row(&self, token: &str) -> String {
        if self.storage == Storage::Django {
            return token.to_owned();
        }
        let selector = u64::from_str_radix(&token[..16], 16).expect("a token of ours is hex");
        let mut bytes = selector.to_be_bytes().to_vec();
        bytes.extend(&Sha256::digest(token)[..21]);
        format!("${}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The session key as a browser shows it: 32 of `[a-z0-9]`.
    pub fn session(&self, user: usize) -> String {
        const SIGNS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut random = Random::new(user as u64 ^ 0x5e55_1011);
        (0..32)
            .map(|_| char::from(SIGNS[(random.next() % 36) as usize]))
            .collect()
    }

    /// The primary key of the session's row.
    pub fn session_row(&self, session: &str) -> String {
        match self.storage {
            Storage::Django => session.to_owned(),
            Storage::Sealed => {
                format!(
                    "${}",
                    &URL_SAFE_NO_PAD.encode(Sha256::digest(session))[..39]
                )
            }
        }
    }

    /// The session row's text: what Django writes after a login, signed.
    pub fn session_data(&mut self, user: usize, unix_seconds: u64) -> String {
        let json = format!(
            concat!(
                r#"{{"_auth_user_id":"{}","#,
                r#""_auth_user_backend":"django.contrib.auth.backends.ModelBackend","#,
                r#""_auth_user_hash":"{}"}}"#
            ),
            user, self.session_hash
        );
        let mut text = self.pack(json.as_bytes());
        text.push(':');
        text.push_str(&base62(unix_seconds));
        let mut mac = self.session_key.clone();
        mac.update(text.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        text.push(':');
        text.push_str(&signature);
        text
    }

    fn pack(&mut self, json: &[u8]) -> String {
        // One compressor for all: making one costs more than these few bytes.
        let mut packed = Vec::with_capacity(json.len() + 64);
        self.deflate.reset();
        self.deflate
            .compress_vec(json, &mut packed, FlushCompress::Finish)
            .expect("there is room for what does not compress");
        if packed.len() + 1 < json.len() {
            format!(".{}", URL_SAFE_NO_PAD.encode(packed))
        } else {
            URL_SAFE_NO_PAD.encode(json)
        }
    }
}

/// Repeatable numbers (SplitMix64): the same keys on every run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], value: &[u8]) -> Vec<u8> {
    keyed(key)
        .chain_update(value)
        .finalize()
        .into_bytes()
        .to_vec()
}

/// The key of one of Django's purposes.
fn salted(salt: &str, secret: &str) -> Vec<u8> {
    Sha256::digest(format!("{salt}{secret}")).to_vec()
}

fn base62(mut number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    while number > 0 {
        text.insert(0, DIGITS[(number % 62) as usize]);
        number /= 62;
    }
    text.iter().map(|digit| char::from(*digit)).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a vector takes every write");
    }
    String::from_utf8(text).expect("hex digits are text")
}
