//! The texts that were set, and the error about one of them.

use std::collections::HashMap;

/// A setting that cannot be used: one line that names the key, says where it was set,
/// and what it may be.
#[derive(Debug, thiserror::Error)]
#[error("{key}{origin}: {problem}")]
pub struct SettingsError {
    key: String,
    origin: String,
    problem: String,
}

impl SettingsError {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            origin: String::new(),
            problem: problem.into(),
        }
    }
}

/// The texts that were set, each from its strongest source, which is named.
#[derive(Default)]
pub struct Values(pub(super) HashMap<&'static str, (String, &'static str)>);

impl Values {
    /// The text that was set, and its source. An empty text is none, but hides one from
    /// a weaker source.
    fn set(&self, name: &str) -> Option<(&str, &'static str)> {
        let (text, origin) = self.0.get(name)?;
        let text = text.trim();
        (!text.is_empty()).then_some((text, *origin))
    }

    /// The text that was set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.set(name).map(|(text, _)| text)
    }

    /// Where the value of a setting is from.
    pub(super) fn origin(&self, name: &str) -> &'static str {
        self.set(name).map_or("default", |(_, origin)| origin)
    }

    pub(super) fn error(&self, name: &str, problem: impl Into<String>) -> SettingsError {
        let origin = self.0.get(name).map(|(_, origin)| origin);
        SettingsError {
            origin: origin.map_or_else(String::new, |origin| format!(" (from {origin})")),
            ..SettingsError::new(name, problem)
        }
    }
}
