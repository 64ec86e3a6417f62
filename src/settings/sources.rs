//! Where values come from, and the reading of one value.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use super::SettingsError;
use super::keys::KEYS;

/// Variables of our prefix that are no settings.
const OTHER_VARIABLES: [&str; 2] = ["PORTCULLIS_USER_PASSWORD", "PORTCULLIS_CONFIG"];
const PREFIX: &str = "PORTCULLIS_";

/// Where a value of the file of settings is from, whatever its name.
pub(super) const FILE: &str = "portcullis.toml";

struct Value {
    text: String,
    origin: &'static str,
}

/// The texts that were set, each from its strongest source.
#[derive(Default)]
pub struct Values(HashMap<&'static str, Value>);

impl Values {
    /// Values that were set in code or by command-line flags; later ones win.
    pub fn from_flags<N: AsRef<str>>(
        flags: impl IntoIterator<Item = (N, String)>,
    ) -> Result<Self, SettingsError> {
        let mut values = Self::default();
        for (name, text) in flags {
            let key = known(name.as_ref())
                .ok_or_else(|| SettingsError::new(name.as_ref(), "there is no such setting"))?;
            let origin = "flag";
            values.0.insert(key, Value { text, origin });
        }
        Ok(values)
    }

    /// Adds what the environment sets and no flag does. A variable of our
    /// prefix that is no setting is an error: it is a typing mistake.
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        for (name, text) in variables {
            if let Some(key) = known(&name) {
                let origin = "environment";
                self.0.entry(key).or_insert(Value { text, origin });
            } else if name.starts_with(PREFIX) && !OTHER_VARIABLES.contains(&name.as_str()) {
                return Err(SettingsError::new(
                    name,
                    "there is no such setting (in the environment)",
                ));
            }
        }
        Ok(self)
    }

    /// Adds what a toml file sets and nothing stronger does. A file that is
    /// not there is one that sets nothing, unless it `must_exist`.
    pub fn with_file(mut self, path: &Path, must_exist: bool) -> Result<Self, SettingsError> {
        let file_error = |problem: String| SettingsError::new(path.display().to_string(), problem);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
                return Ok(self);
            }
            Err(error) => return Err(file_error(format!("cannot be read: {error}"))),
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            let message = error.message().replace('\n', " ");
            file_error(format!("line {line}: {message}"))
        })?;
        for (name, value) in table {
            let key = KEYS
                .iter()
                .find(|key| key.toml_name() == name)
                .ok_or_else(|| {
                    SettingsError::new(
                        &name,
                        format!("there is no such setting (in {})", path.display()),
                    )
                })?;
            let text = toml_text(&value).ok_or_else(|| {
                SettingsError::new(&name, "must be a text, a number, or a list of texts")
            })?;
            let origin = FILE;
            self.0.entry(key.name).or_insert(Value { text, origin });
        }
        Ok(self)
    }

    /// Whether anything but the default decides this one.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.text.is_empty())
    }

    /// The text of a setting: what was set, or its default.
    pub fn get(&self, name: &str) -> Option<&str> {
        let default = || {
            KEYS.iter()
                .find(|key| key.name == name)
                .map(|key| key.default)
        };
        let set = self.0.get(name).map(|value| value.text.trim());
        set.filter(|text| !text.is_empty()).or_else(default)
    }

    /// Where the value of a setting is from.
    pub fn origin(&self, name: &str) -> &'static str {
        self.0
            .get(name)
            .filter(|value| !value.text.is_empty())
            .map_or("default", |value| value.origin)
    }

    pub(super) fn error(&self, name: &str, problem: impl Into<String>) -> SettingsError {
        SettingsError {
            key: name.to_owned(),
            origin: self
                .0
                .get(name)
                .map(|value| format!(" (from {})", value.origin))
                .unwrap_or_default(),
            problem: problem.into(),
        }
    }

    pub(super) fn parse<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, SettingsError> {
        parse(self.get(name).unwrap_or_default()).map_err(|problem| self.error(name, problem))
    }

    pub(super) fn optional<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => parse(text)
                .map(Some)
                .map_err(|problem| self.error(name, problem)),
        }
    }

    pub(super) fn list<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, SettingsError> {
        self.get(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| parse(item).map_err(|problem| self.error(name, problem)))
            .collect()
    }

    pub(super) fn one_of<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        self.parse(name, |text| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("`{text}` is not one of: {}", names.join(", ")))
        })
    }

    pub(super) fn count(
        &self,
        name: &str,
        default: usize,
        most: usize,
    ) -> Result<NonZeroUsize, SettingsError> {
        let count = self.optional(name, |text| {
            text.parse()
                .ok()
                .filter(|count| (1..=most).contains(count))
                .ok_or_else(|| format!("`{text}` is not a whole number from 1 to {most}"))
        })?;
        Ok(NonZeroUsize::new(count.unwrap_or(default.min(most))).unwrap_or(NonZeroUsize::MIN))
    }
}

fn known(name: &str) -> Option<&'static str> {
    KEYS.iter().map(|key| key.name).find(|key| *key == name)
}

fn toml_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
