//! `django_session.session_data`: forged texts, and whatever a good signature
//! may be around.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::django::signing::{SaltedHmac, base64_encode};
use portcullis::django::{SecretKey, SecretKeys, SessionCodec};

const KEY: &str = "a key of the fuzzer's own";
const SALT: &str = "django.contrib.sessions.SessionStoresigner";

static CODEC: LazyLock<SessionCodec> =
    LazyLock::new(|| SessionCodec::new(&SecretKeys::new(SecretKey::new(KEY.into()), Vec::new())));
static SIGNER: LazyLock<SaltedHmac> =
    LazyLock::new(|| SaltedHmac::new(SALT, &SecretKey::new(KEY.into())));

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let forged = CODEC.decode(&text);
    assert!(forged.is_err(), "nobody signed that");

    // As if Django had signed it.
    let signature = base64_encode(&SIGNER.digest(text.as_bytes()));
    round_trip(&format!("{text}:{signature}"));
    for start in ["", "."] {
        let signed = format!("{start}{}:1abcde", base64_encode(bytes));
        let signature = base64_encode(&SIGNER.digest(signed.as_bytes()));
        round_trip(&format!("{signed}:{signature}"));
    }
});

fn round_trip(text: &str) {
    if let Ok(data) = CODEC.decode(text) {
        let again = CODEC.decode(&CODEC.encode(&data, 1_700_000_000));
        assert_eq!(again.expect("our own text"), data);
    }
}
