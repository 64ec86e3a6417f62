//! A name and a password, as a client sent them, and what the name is.

use diesel::prelude::QueryResult;
use django_auth::password::validation::MAX_PASSWORD_BYTES;
use secrecy::SecretString;

use crate::db::Connection;
use crate::models::UserTable;
use crate::models::user::User;

/// What people log in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginWith {
    /// The name.
    Username,
    /// The e-mail address.
    Email,
    /// The name or, if nobody has it, the address.
    Either,
}

impl LoginWith {
    /// Whether an address is taken.
    pub fn takes_emails(self) -> bool {
        self != Self::Username
    }

    /// The user whom `name` means. It asks as often for one whom there is not, so that
    /// it costs the same.
    pub(super) fn find(
        self,
        table: &UserTable,
        conn: &mut Connection<'_>,
        name: &str,
    ) -> QueryResult<Option<User>> {
        match self {
            Self::Username => table.find_by_username(conn, name),
            Self::Email => table.find_by_email(conn, name),
            Self::Either => {
                let by_email = table.find_by_email(conn, name)?;
                Ok(table.find_by_username(conn, name)?.or(by_email))
            }
        }
    }
}

/// What someone claims to be. Either part may be missing or unusable; such a login is
/// refused like any other, after the same work.
pub struct Credentials {
    username: Option<String>,
    password: Option<SecretString>,
}

impl Credentials {
    /// Takes the texts as sent: exact bytes, nothing trimmed or folded.
    ///
    /// A name with a NUL, which PostgreSQL cannot even look for, and a password that is
    /// empty or over [`MAX_PASSWORD_BYTES`] are unusable.
    pub fn new(username: Option<String>, password: Option<String>) -> Self {
        Self {
            username: username.filter(|name| !name.is_empty() && !name.contains('\0')),
            password: password
                .filter(|text| (1..=MAX_PASSWORD_BYTES).contains(&text.len()))
                .map(SecretString::from),
        }
    }

    /// The name, if it is usable.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password, if it is usable.
    pub(super) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}
