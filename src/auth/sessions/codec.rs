//! A cache of what the texts of session rows decode to.
//!
//! The key is the row's whole text, with its signature, and decoding is a pure function:
//! an entry cannot go stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use django_auth::{DecodeError, SessionCodec, SessionData};

/// At 1 KiB a session, 4 MiB.
const MAX_TEXTS: usize = 4096;

const MAX_ENTRIES: usize = 8;
const MAX_ENTRY_BYTES: usize = 256;

/// The cache of one [`SessionCodec`], shared by its clones.
#[derive(Clone, Default)]
pub(super) struct Decoded {
    texts: Arc<Mutex<HashMap<String, Arc<SessionData>>>>,
}

impl Decoded {
    /// [`SessionCodec::decode`].
    pub(super) fn get(
        &self,
        text: &str,
        codec: &SessionCodec,
    ) -> Result<Arc<SessionData>, DecodeError> {
        if let Some(data) = self.lock().get(text) {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(codec.decode(text)?);
        if is_small(&data) {
            let mut texts = self.lock();
            if texts.len() >= MAX_TEXTS {
                texts.clear();
            }
            texts.insert(text.to_owned(), Arc::clone(&data));
        }
        Ok(data)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<SessionData>>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short text can unpack to a megabyte; a session that only logs somebody in is small.
fn is_small(data: &SessionData) -> bool {
    let is_short = |(name, value): (&String, &serde_json::Value)| {
        let bytes = value.as_str().map_or(0, str::len);
        !value.is_array() && !value.is_object() && name.len() + bytes <= MAX_ENTRY_BYTES
    };
    data.len() <= MAX_ENTRIES && data.iter().all(is_short)
}

#[cfg(test)]
mod tests {
    use django_auth::{SecretKey, SecretKeys};
    use serde_json::{Value, json};

    use super::*;

    fn session(value: Value) -> SessionData {
        SessionData::from_iter([("cart".to_owned(), value)])
    }

    #[test]
    fn small_sessions_are_cached_and_never_more_than_the_limit() {
        let key = SecretKey::new("a-key-of-the-tests-0123456789abcdef".to_owned());
        let codec = SessionCodec::new(&SecretKeys::new(key, vec![]));
        let decoded = Decoded::default();
        for value in [json!("x".repeat(10_000)), json!([1, 2]), json!({"a": 1})] {
            let data = session(value);
            let text = codec.encode(&data, 0);
            assert_eq!(*decoded.get(&text, &codec).unwrap(), data);
            assert!(decoded.lock().is_empty(), "{text} was cached");
        }
        for number in 0..=MAX_TEXTS {
            let data = session(json!(number));
            let text = codec.encode(&data, 0);
            for _ in 0..2 {
                assert_eq!(*decoded.get(&text, &codec).unwrap(), data);
            }
            assert!(decoded.lock().contains_key(&text));
            assert!(decoded.lock().len() <= MAX_TEXTS);
        }
        assert_eq!(decoded.lock().len(), 1);
        assert!(decoded.get("forged:1:signature", &codec).is_err());
        assert_eq!(decoded.lock().len(), 1);
    }
}
