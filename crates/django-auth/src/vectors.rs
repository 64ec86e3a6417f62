//! What the real Django 5.2.19 and 6.1.3 wrote and answered, for the unit tests.

use serde_json::Value;

use crate::secret_key::{SecretKey, SecretKeys};

/// The secret key that all vectors were made with.
pub(crate) const KEY: &str = "reference-secret-key-for-test-vectors-only-0123456789";

/// `tests/vectors/django.json`, parsed.
pub(crate) fn load() -> Value {
    serde_json::from_str(include_str!("../tests/vectors/django.json"))
        .expect("the vectors are JSON")
}

/// `tests/vectors/hashes-6.1.json`, parsed.
pub(crate) fn load_hashes_of_6_1() -> Value {
    serde_json::from_str(include_str!("../tests/vectors/hashes-6.1.json"))
        .expect("the vectors are JSON")
}

/// The rows of one list of the vectors.
pub(crate) fn rows(name: &str) -> Vec<Value> {
    load()
        .get(name)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("the vectors have a list {name:?}"))
        .clone()
}

/// A text field of a row.
pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{field:?} is a text in {row}"))
}

/// `current` with `fallbacks`, as settings would give them.
pub(crate) fn keys(current: &str, fallbacks: &[&str]) -> SecretKeys {
    SecretKeys::new(
        SecretKey::new(current.to_owned()),
        fallbacks
            .iter()
            .map(|key| SecretKey::new((*key).to_owned()))
            .collect(),
    )
}
