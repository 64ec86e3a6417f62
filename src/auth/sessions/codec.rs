//! Django's session codec, with a cache of what the texts of rows decode to.
//!
//! The key is the row's whole text, with its signature, and decoding is a pure function:
//! an entry cannot go stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use django_auth::{DecodeError, SecretKeys, SessionCodec, SessionData};

/// At 1 KiB a session, 4 MiB.
const MAX_TEXTS: usize = 4096;

/// A short text can unpack to a megabyte; a session that only logs somebody in is small.
const MAX_BYTES: usize = 1024;

/// A [`SessionCodec`] whose clones share one cache.
#[derive(Clone)]
pub(super) struct CachedCodec {
    codec: SessionCodec,
    decoded: Arc<Mutex<HashMap<String, Arc<SessionData>>>>,
}

impl CachedCodec {
    pub(super) fn new(keys: &SecretKeys) -> Self {
        Self {
            codec: SessionCodec::new(keys),
            decoded: Arc::default(),
        }
    }

    /// [`SessionCodec::encode`].
    pub(super) fn encode(&self, data: &SessionData, unix_seconds: i64) -> String {
        self.codec.encode(data, unix_seconds)
    }

    /// [`SessionCodec::decode`].
    pub(super) fn decode(&self, text: &str) -> Result<Arc<SessionData>, DecodeError> {
        if let Some(data) = self.lock().get(text) {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(self.codec.decode(text)?);
        if text.len() + data.bytes() <= MAX_BYTES {
            let mut decoded = self.lock();
            if decoded.len() >= MAX_TEXTS {
                decoded.clear();
            }
            decoded.insert(text.to_owned(), Arc::clone(&data));
        }
        Ok(data)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<SessionData>>> {
        self.decoded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use django_auth::SecretKey;
    use serde_json::{Value, json};

    use super::*;

    fn session(value: Value) -> SessionData {
        SessionData::from_iter([("cart".to_owned(), value)])
    }

    #[test]
    fn small_sessions_are_cached_and_never_more_than_the_limit() {
        let key = SecretKey::new("a-key-of-the-tests-0123456789abcdef".to_owned());
        let codec = CachedCodec::new(&SecretKeys::new(key, vec![]));
        for value in [json!("x".repeat(10_000)), json!(vec![0; 1000])] {
            let data = session(value);
            let text = codec.encode(&data, 0);
            assert_eq!(*codec.decode(&text).unwrap(), data);
            assert!(codec.lock().is_empty(), "{text} was cached");
        }
        for number in 0..=MAX_TEXTS {
            let data = session(json!(number));
            let text = codec.encode(&data, 0);
            for _ in 0..2 {
                assert_eq!(*codec.decode(&text).unwrap(), data);
            }
            assert!(codec.lock().contains_key(&text));
            assert!(codec.lock().len() <= MAX_TEXTS);
        }
        assert_eq!(codec.lock().len(), 1);
        assert!(codec.decode("forged:1:signature").is_err());
        assert_eq!(codec.lock().len(), 1);
    }
}
