//! `PORTCULLIS_USER_TABLE`: another project's user table under the name in our queries.
//!
//! Each connection gets a temporary view of that table (docs/decisions/0016).
//! PostgreSQL writes through such a view; SQLite needs triggers, temporary too.

use crate::db::{Required, Setup};

/// The name that our schema has for it.
const OURS: &str = "accounts_customuser";
const COLUMNS: &str = "id, password, last_login, is_superuser, username, first_name, last_name, \
    email, is_staff, is_active, date_joined";

/// The table of the user model: `name`, or `schema.name` on PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserTable {
    schema: Option<String>,
    name: String,
}

impl UserTable {
    /// Takes letters, digits and underscores, so that it needs no escaping.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if !is_name(name) || !schema.is_none_or(is_name) {
            return Err("not a table name such as auth_user or schema.auth_user".to_owned());
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// Whether it is the table that our own migrations make.
    pub fn is_ours(&self) -> bool {
        self.schema.is_none() && self.name == OURS
    }

    /// Whether it names a schema, which SQLite does not have.
    pub fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}\"", self.name),
            None => format!("\"{}\"", self.name),
        }
    }

    /// What each connection needs for it.
    pub fn setup(&self) -> Setup {
        if self.is_ours() {
            return Setup::default();
        }
        Setup {
            sqlite: Some(self.sqlite_view()),
            postgres: Some(self.postgres_view()),
            required: self.required(),
        }
    }

    /// The tables of Django's that must be there, with the columns that we use.
    fn required(&self) -> Vec<Required> {
        let required = |table: &str, columns: &str| Required {
            table: table.to_owned(),
            columns: columns.to_owned(),
            because: format!("PORTCULLIS_USER_TABLE is {self}"),
        };
        vec![
            required(&self.quoted(), COLUMNS),
            required("authtoken_token", "key, created, user_id"),
            required("django_session", "session_key, session_data, expire_date"),
        ]
    }

    fn postgres_view(&self) -> String {
        let table = self.quoted();
        format!("CREATE TEMPORARY VIEW {OURS} AS SELECT {COLUMNS} FROM {table}")
    }

    fn sqlite_view(&self) -> String {
        let table = self.quoted();
        let inserted = COLUMNS.trim_start_matches("id, ");
        let values = format!("NEW.{}", inserted.replace(", ", ", NEW."));
        format!(
            "CREATE TEMPORARY VIEW {OURS} AS SELECT {COLUMNS} FROM {table};
             CREATE TEMPORARY TRIGGER portcullis_user_update
               INSTEAD OF UPDATE ON {OURS} BEGIN
                 UPDATE {table} SET password = NEW.password, last_login = NEW.last_login
                   WHERE id = OLD.id;
               END;
             CREATE TEMPORARY TRIGGER portcullis_user_insert
               INSTEAD OF INSERT ON {OURS} BEGIN
                 INSERT INTO {table} ({inserted}) VALUES ({values});
               END;"
        )
    }
}

impl std::fmt::Display for UserTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_taken() {
        assert!(UserTable::parse("accounts_customuser").unwrap().is_ours());
        for other in [
            "auth_user",
            "legacy.auth_user",
            "legacy.accounts_customuser",
        ] {
            assert!(!UserTable::parse(other).unwrap().is_ours());
        }
        for wrong in [
            "",
            "a b",
            "a.b.c",
            ".a",
            "a.",
            "a\"b",
            "a;drop table x",
            "é",
        ] {
            assert!(UserTable::parse(wrong).is_err(), "{wrong}");
        }
    }
}
