//! The text of `django_session.session_data`: signed, dated, mostly compressed JSON.
//!
//! ```text
//! session_data = B ":" T ":" S
//! B = "." base64(zlib(JSON)) when that is shorter, else base64(JSON)
//! T = Unix seconds in base 62
//! S = base64(HMAC-SHA256(key, B ":" T))
//! ```
//!
//! T is signed, but only the row's `expire_date` ends a session.

use std::cell::RefCell;

use flate2::{Compress, CompressError, Compression, FlushCompress};
use flate2::{Decompress, FlushDecompress, Status};
use subtle::ConstantTimeEq;

use crate::secret_key::SecretKeys;
use crate::session_entries::SessionData;
use crate::signing::{SaltedHmacs, base62_encode, base64_decode, base64_encode, is_base62};

// NEVER CHANGE: Django derives the key of every session from this text.
const SALT: &str = "django.contrib.sessions.SessionStoresigner";

/// So that a few bytes of a row cannot fill the memory.
const MAX_JSON_BYTES: usize = 1024 * 1024;

/// Why a stored text is no session. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not `payload:timestamp:signature`.
    #[error("session data is not of three parts")]
    Shape,
    /// None of the keys made the signature.
    #[error("session data has a bad signature")]
    Signature,
    /// Signed, but not base64, or not a whole zlib stream.
    #[error("session data cannot be unpacked")]
    Packing,
    /// More than 1 MiB of JSON.
    #[error("session data is too large")]
    TooLarge,
    /// Signed, but not JSON, or not an object.
    #[error("session data is not a JSON object")]
    NotAnObject,
}

/// Writes and reads session rows, with keys derived once.
#[derive(Clone, Debug)]
pub struct SessionCodec {
    keys: SaltedHmacs,
}

impl SessionCodec {
    /// Signs with the current key, accepts all of them.
    pub fn new(keys: &SecretKeys) -> Self {
        Self {
            keys: SaltedHmacs::new(SALT, keys),
        }
    }

    /// The text for the row, dated `unix_seconds`, byte for byte as Django writes it.
    /// More than 1 MiB of JSON does not read back.
    pub fn encode(&self, data: &SessionData, unix_seconds: i64) -> String {
        let mut text = payload(data.to_json().as_bytes());
        text.push(':');
        text.push_str(&base62_encode(unix_seconds));
        let signature = base64_encode(&self.keys.current.digest(text.as_bytes()));
        text.push(':');
        text.push_str(&signature);
        text
    }

    /// The session in a row's text.
    ///
    /// # Errors
    ///
    /// For any text that Django takes for an empty session, and JSON above 1 MiB.
    pub fn decode(&self, text: &str) -> Result<SessionData, DecodeError> {
        let (signed, signature) = text.rsplit_once(':').ok_or(DecodeError::Shape)?;
        // First the signature: only a text that we can trust is unpacked.
        if !self.is_signed(signed, signature) {
            return Err(DecodeError::Signature);
        }
        let (payload, timestamp) = signed.rsplit_once(':').ok_or(DecodeError::Shape)?;
        if !is_base62(timestamp) {
            return Err(DecodeError::Shape);
        }
        let json = String::from_utf8(unpack(payload)?).ok();
        json.and_then(|json| SessionData::parse(&json))
            .ok_or(DecodeError::NotAnObject)
    }

    fn is_signed(&self, signed: &str, signature: &str) -> bool {
        std::iter::once(&self.keys.current)
            .chain(&self.keys.fallbacks)
            .any(|key| {
                let expected = base64_encode(&key.digest(signed.as_bytes()));
                expected.as_bytes().ct_eq(signature.as_bytes()).into()
            })
    }
}

/// Compressed if that saves two bytes: one goes to the dot.
fn payload(json: &[u8]) -> String {
    match compress(json) {
        Ok(packed) if packed.len() + 1 < json.len() => format!(".{}", base64_encode(&packed)),
        _ => base64_encode(json),
    }
}

thread_local! {
    /// To allocate and free zlib's quarter of a megabyte takes longer than to compress.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), true));
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(true));
}

fn compress(json: &[u8]) -> Result<Vec<u8>, CompressError> {
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut packed = Vec::with_capacity(json.len() + 64);
        loop {
            let rest = rest(json, deflate.total_in());
            if deflate.compress_vec(rest, &mut packed, FlushCompress::Finish)? == Status::StreamEnd
            {
                return Ok(packed);
            }
            packed.reserve(packed.capacity());
        }
    })
}

fn unpack(payload: &str) -> Result<Vec<u8>, DecodeError> {
    let json = match payload.strip_prefix('.') {
        Some(packed) => inflate(&base64_decode(packed).ok_or(DecodeError::Packing)?)?,
        None => base64_decode(payload).ok_or(DecodeError::Packing)?,
    };
    if json.len() > MAX_JSON_BYTES {
        return Err(DecodeError::TooLarge);
    }
    Ok(json)
}

/// Stops one byte past the cap, so that the caller sees it was passed.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    INFLATE.with_borrow_mut(|inflate| {
        inflate.reset(true);
        // All at once, for most: otherwise zlib takes 32 KiB more.
        let mut json = Vec::with_capacity((packed.len() * 4).min(MAX_JSON_BYTES + 1));
        loop {
            let before = (inflate.total_in(), json.len());
            let rest = rest(packed, inflate.total_in());
            let status = inflate
                .decompress_vec(rest, &mut json, FlushDecompress::Finish)
                .map_err(|_| DecodeError::Packing)?;
            if status == Status::StreamEnd || json.len() > MAX_JSON_BYTES {
                return Ok(json);
            }
            let is_full = json.len() == json.capacity();
            if !is_full && before == (inflate.total_in(), json.len()) {
                return Err(DecodeError::Packing);
            }
            let more = json.capacity().max(64);
            json.reserve_exact(more.min(MAX_JSON_BYTES + 1 - json.len()));
        }
    })
}

/// What zlib has not taken yet.
fn rest(input: &[u8], taken: u64) -> &[u8] {
    usize::try_from(taken)
        .ok()
        .and_then(|taken| input.get(taken..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::vectors::{self, KEY, keys};

    fn codec() -> SessionCodec {
        SessionCodec::new(&keys(KEY, &[]))
    }

    fn object(value: Value) -> SessionData {
        value.as_object().cloned().unwrap().into_iter().collect()
    }

    /// Signs any payload.
    fn signed(payload: &str, timestamp: &str) -> String {
        let body = format!("{payload}:{timestamp}");
        let signature = base64_encode(&codec().keys.current.digest(body.as_bytes()));
        format!("{body}:{signature}")
    }

    #[test]
    fn rows_are_written_and_read_as_django_does() {
        let rows = [vectors::rows("sessions"), vectors::rows("more_sessions")].concat();
        let mut seen = 0;
        for row in rows.iter().filter(|row| row.get("unix_time").is_some()) {
            let data = object(row["data"].clone());
            let stored = vectors::text(row, "session_data");

            assert_eq!(
                codec().encode(&data, row["unix_time"].as_i64().unwrap()),
                stored,
                "{}",
                row["name"]
            );
            assert_eq!(codec().decode(stored), Ok(data.clone()), "{}", row["name"]);
            if let Some(plain) = row.get("session_data_uncompressed") {
                assert_eq!(codec().decode(plain.as_str().unwrap()), Ok(data));
            }
            seen += 1;
        }
        assert_eq!(seen, 12);
    }

    #[test]
    fn what_django_rejects_is_rejected() {
        let rows = vectors::rows("sessions");
        let rejected: Vec<_> = rows
            .iter()
            .filter(|row| vectors::text(row, "name").starts_with("rejected"))
            .collect();
        assert_eq!(rejected.len(), 6);

        for row in rejected {
            let stored = vectors::text(row, "session_data");
            assert!(codec().decode(stored).is_err(), "{}", row["name"]);
        }
    }

    #[test]
    fn a_fallback_key_still_reads_but_the_current_one_writes() {
        let data = object(json!({"a": 1}));
        let old = SessionCodec::new(&keys("old", &[])).encode(&data, 1);
        let rotated = SessionCodec::new(&keys("new", &["older", "old"]));
        let only_new = SessionCodec::new(&keys("new", &[]));

        assert_eq!(rotated.decode(&old), Ok(data.clone()));
        assert_eq!(only_new.decode(&old), Err(DecodeError::Signature));
        assert_eq!(only_new.decode(&rotated.encode(&data, 1)), Ok(data));
    }

    #[test]
    fn signed_texts_that_hold_no_session_are_errors() {
        let pack = |json: &[u8]| format!(".{}", base64_encode(&compress(json).unwrap()));
        for (payload, timestamp, error) in [
            (base64_encode(b"[1]"), "1", DecodeError::NotAnObject),
            (base64_encode(b"\"a\""), "1", DecodeError::NotAnObject),
            (base64_encode(b"{"), "1", DecodeError::NotAnObject),
            (
                base64_encode(b"{\"a\":\xff}"),
                "1",
                DecodeError::NotAnObject,
            ),
            (pack(b"null"), "1", DecodeError::NotAnObject),
            (String::new(), "1", DecodeError::NotAnObject),
            ("e30".to_owned(), "", DecodeError::Shape),
            ("e30".to_owned(), "a b", DecodeError::Shape),
            ("e3!".to_owned(), "1", DecodeError::Packing),
            (".e30".to_owned(), "1", DecodeError::Packing),
        ] {
            assert_eq!(
                codec().decode(&signed(&payload, timestamp)),
                Err(error),
                "{payload} {timestamp}"
            );
        }
        let cut = compress(&[b' '; 500]).unwrap();
        let cut = format!(".{}", base64_encode(&cut[..cut.len() - 6]));
        assert_eq!(
            codec().decode(&signed(&cut, "1")),
            Err(DecodeError::Packing)
        );
    }

    #[test]
    fn json_is_capped_at_one_mebibyte_however_well_it_packs() {
        let limit = MAX_JSON_BYTES;
        let of_size = |size: usize| object(json!({"a": "x".repeat(size - 8)}));

        let fits = codec().encode(&of_size(limit), 1);
        let bomb = codec().encode(&of_size(limit + 1), 1);
        let plain = signed(&base64_encode(&vec![b' '; limit + 1]), "1");

        assert!(bomb.len() < 3_000, "{}", bomb.len());
        assert!(codec().decode(&fits).is_ok());
        assert_eq!(codec().decode(&bomb), Err(DecodeError::TooLarge));
        assert_eq!(codec().decode(&plain), Err(DecodeError::TooLarge));
        let unpacked = inflate(&compress(&vec![b' '; 8 * limit]).unwrap());
        assert_eq!(unpacked.map(|json| json.len()), Ok(limit + 1));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));

        let read = codec().decode(&signed(&base64_encode(deep.as_bytes()), "1"));

        assert_eq!(read, Err(DecodeError::NotAnObject));
    }

    #[test]
    fn the_codec_can_be_shared_and_shows_no_key() {
        fn shared<T: Send + Sync + Clone>(_: &T) {}
        shared(&codec());
        let shown = format!("{:?}", SessionCodec::new(&keys(KEY, &["old"])));
        assert_eq!(
            shown,
            "SessionCodec { keys: SaltedHmacs { current: SaltedHmac, fallbacks: [SaltedHmac] } }"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            pairs in prop::collection::vec((any::<String>(), any_value()), 0..8),
            seconds in any::<i64>(),
        ) {
            let data: SessionData = pairs.into_iter().collect();
            let text = codec().encode(&data, seconds);
            prop_assert!(text.is_ascii());
            let read = codec().decode(&text).unwrap();
            prop_assert_eq!(read.to_json(), data.to_json());
        }

        #[test]
        fn a_changed_text_never_reads(at in any::<prop::sample::Index>(), to in any::<char>()) {
            let text = codec().encode(&object(json!({"_auth_user_id": "1"})), 1_760_000_000);
            let mut characters: Vec<char> = text.chars().collect();
            let at = at.index(characters.len());
            prop_assume!(characters[at] != to);
            characters[at] = to;
            prop_assert!(codec().decode(&characters.into_iter().collect::<String>()).is_err());
        }

        #[test]
        fn a_cut_text_never_reads(from in any::<prop::sample::Index>()) {
            let text = codec().encode(&object(json!({"_auth_user_id": "1"})), 1_760_000_000);
            prop_assert!(codec().decode(&text[..from.index(text.len())]).is_err());
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), timestamp in any::<String>()) {
            prop_assert!(codec().decode(&text).is_err());
            let _ = codec().decode(&signed(&text, &timestamp));
        }
    }
}
