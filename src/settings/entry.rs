//! One setting: [`Key`] is what people read of it, and the macro `settings!` makes a
//! group of settings from its entries.

use super::values::{SettingsError, Values};

/// One setting, as the README's table shows it.
#[derive(Clone, Copy)]
pub struct Key {
    /// The environment variable. The toml key is the same in lower case, without the
    /// prefix; the flag is that with dashes.
    pub name: &'static str,
    /// The text that is read if none is set; may be empty.
    pub default: &'static str,
    /// How the documentation describes a default that is computed.
    pub default_note: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// Never shown, and no flag: the command line is public on a machine.
    pub secret: bool,
}

/// A setting with no default.
pub(super) const fn key(name: &'static str) -> Key {
    Key {
        name,
        default: "",
        default_note: "",
        meaning: "",
        secret: false,
    }
}

impl Key {
    pub(super) const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    pub(super) const fn computed(mut self, note: &'static str) -> Self {
        self.default_note = note;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn meaning(mut self, doc_comment: &'static str) -> Self {
        self.meaning = doc_comment.trim_ascii();
        self
    }

    /// `PORTCULLIS_SESSION_AGE` is `session_age` in `portcullis.toml`.
    pub fn toml_name(&self) -> String {
        self.name
            .strip_prefix("PORTCULLIS_")
            .unwrap_or(self.name)
            .to_lowercase()
    }

    /// `PORTCULLIS_SESSION_AGE` is `--session-age`.
    pub fn flag_name(&self) -> String {
        self.toml_name().replace('_', "-")
    }

    /// The text that was set, or the default.
    pub(super) fn text<'v>(&self, values: &'v Values) -> &'v str {
        values.get(self.name).unwrap_or(self.default)
    }

    pub(super) fn read<T>(
        &self,
        values: &Values,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, SettingsError> {
        parse(self.text(values)).map_err(|problem| values.error(self.name, problem))
    }
}

/// Defines a group of settings. An entry is
///
/// ```text
/// /// The meaning, one sentence, as the README, `--help` and rustdoc show it
/// pub field: Type = key("PORTCULLIS_NAME").default("text"), how_to_read_the_text;
/// ```
///
/// where `how_to_read_the_text` is an `impl Fn(&str) -> Result<Type, String>`; its
/// error says what the value may be. `parse.rs` has the usual ones. A key may also be
/// `.computed("how the default is found")` and `.secret()`.
///
/// From the entries it makes the struct, its `read(&Values)`, and a list of keys for
/// each section: the README's table mixes the groups, in the order of `keys.rs`.
macro_rules! settings {
    ($(#[$about:meta])* pub struct $Group:ident {
        $($SECTION:ident {
            $($(#[doc = $meaning:literal])+
            $visibility:vis $field:ident: $Type:ty = $key:expr, $parse:expr;)+
        })+
    }) => {
        $(#[$about])*
        pub struct $Group {
            $($($(#[doc = $meaning])+ $visibility $field: $Type,)+)+
        }

        $(pub(super) const $SECTION: &[$crate::settings::entry::Key] =
            &[$($key.meaning(concat!($($meaning),+))),+];)+

        impl $Group {
            pub(super) fn read(
                values: &$crate::settings::values::Values,
            ) -> Result<Self, $crate::settings::values::SettingsError> {
                Ok(Self { $($($field: $key.read(values, $parse)?,)+)+ })
            }
        }
    };
}
pub(super) use settings;
