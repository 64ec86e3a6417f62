//! Where values come from: flags, the environment, `portcullis.toml`.

use std::io::ErrorKind;
use std::path::Path;

use super::keys::KEYS;
use super::values::{SettingsError, Values};

/// Variables of our prefix that are no settings.
const OTHER_VARIABLES: [&str; 2] = ["PORTCULLIS_USER_PASSWORD", "PORTCULLIS_CONFIG"];
const PREFIX: &str = "PORTCULLIS_";

pub(super) const FLAG: &str = "flag";
const ENVIRONMENT: &str = "environment";
/// The origin of what a file sets, whatever the file's name.
pub(super) const FILE: &str = "portcullis.toml";

impl Values {
    /// Values that were set in code or by command-line flags; later ones win.
    pub fn from_flags<N: AsRef<str>>(
        flags: impl IntoIterator<Item = (N, String)>,
    ) -> Result<Self, SettingsError> {
        let mut values = Self::default();
        for (name, text) in flags {
            let key = known(name.as_ref())
                .ok_or_else(|| SettingsError::new(name.as_ref(), "there is no such setting"))?;
            values.0.insert(key, (text, FLAG));
        }
        Ok(values)
    }

    /// Adds what the environment sets and no flag does. A variable of our prefix that
    /// is no setting is an error: it is a typing mistake.
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        for (name, text) in variables {
            if let Some(key) = known(&name) {
                self.add(key, text, ENVIRONMENT);
            } else if name.starts_with(PREFIX) && !OTHER_VARIABLES.contains(&name.as_str()) {
                let problem = "there is no such setting (in the environment)";
                return Err(SettingsError::new(name, problem));
            }
        }
        Ok(self)
    }

    /// Adds what a toml file sets and nothing stronger does. A file that is not there
    /// sets nothing, unless it `must_exist`.
    pub fn with_file(mut self, path: &Path, must_exist: bool) -> Result<Self, SettingsError> {
        let file_error = |problem| SettingsError::new(path.display().to_string(), problem);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => return Ok(self),
            Err(error) => return Err(file_error(format!("cannot be read: {error}"))),
        };
        let table = toml_table(&text).map_err(file_error)?;
        for (name, value) in table {
            let key = KEYS.iter().find(|key| key.toml_name() == name);
            let key = key.ok_or_else(|| {
                let problem = format!("there is no such setting (in {})", path.display());
                SettingsError::new(&name, problem)
            })?;
            let text = toml_text(&value).ok_or_else(|| {
                SettingsError::new(&name, "must be a text, a number, or a list of texts")
            })?;
            self.add(key.name, text, FILE);
        }
        Ok(self)
    }

    /// Stronger sources are added first.
    fn add(&mut self, key: &'static str, text: String, origin: &'static str) {
        self.0.entry(key).or_insert((text, origin));
    }
}

fn known(name: &str) -> Option<&'static str> {
    KEYS.iter().map(|key| key.name).find(|key| *key == name)
}

/// One line that says where the fault is: the library's own are several.
fn toml_table(text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        format!("line {line}: {}", error.message().replace('\n', " "))
    })
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
