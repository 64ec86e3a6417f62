//! `django_session.session_data`: forged texts, and whatever a good signature
//! may be around.
#![no_main]

use std::io::Write;
use std::sync::LazyLock;

use django_auth::signing::{SaltedHmac, base64_encode, is_base62};
use django_auth::{SecretKey, SecretKeys, SessionCodec, SessionData};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "a key of the fuzzer's own";
const SALT: &str = "django.contrib.sessions.SessionStoresigner";

static CODEC: LazyLock<SessionCodec> =
    LazyLock::new(|| SessionCodec::new(&SecretKeys::new(SecretKey::new(KEY.into()), Vec::new())));
static SIGNER: LazyLock<SaltedHmac> =
    LazyLock::new(|| SaltedHmac::new(SALT, &SecretKey::new(KEY.into())));

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    assert!(CODEC.decode(&text).is_err(), "nobody signed that");

    // As if Django had signed it, be it a session, JSON, or zlib's stream.
    read(&signed(&text));
    read(&signed(&format!(".{}:1abcde", base64_encode(bytes))));
    let plain = read(&signed(&format!("{}:1abcde", base64_encode(bytes))));
    // Python reads more than JSON, and less deep.
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    if let Ok(object) = object {
        let plain = plain.as_ref().expect("a session is a JSON object");
        let again = serde_json::from_str(&plain.to_json()).ok();
        assert_eq!(again, Some(object));
    }

    if bytes.len() <= 512 {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(bytes).unwrap();
        let stream = base64_encode(&zlib.finish().unwrap());
        assert_eq!(read(&signed(&format!(".{stream}:1abcde"))), plain);
    }
});

fn signed(text: &str) -> String {
    format!("{text}:{}", base64_encode(&SIGNER.digest(text.as_bytes())))
}

/// What is read can be written, so that Django reads the same; and not a
/// character of that can be changed.
fn read(text: &str) -> Option<SessionData> {
    let data = CODEC.decode(text).ok()?;
    let written = CODEC.encode(&data, 1_700_000_000);
    assert_eq!(CODEC.decode(&written).expect("our own text"), data);

    let parts: Vec<&str> = written.split(':').collect();
    let [payload, stamp, signature] = parts.as_slice() else {
        panic!("{written}");
    };
    let is_base64 = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    assert!(is_base64(payload.strip_prefix('.').unwrap_or(payload)));
    assert!(is_base62(stamp) && signature.len() == 43 && is_base64(signature));

    let mut forged = written.clone().into_bytes();
    let at = text.len() % forged.len();
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert!(CODEC.decode(&forged).is_err(), "{forged}");
    Some(data)
}
