//! What our queries rely on, held against the database at the start: which tables there
//! are, which columns of which types, and to whom the tokens belong.

mod types;

use diesel::prelude::QueryResult;

use self::types::{fits, is_name, kind_of};
use super::schema_error::SchemaError;
use super::time_zone::TimeZone;
use super::user_table::{About, Field, TableName, UserTable};
use crate::db::Connection;
use crate::db::inspect::{self, Table};

const TOKENS: Expected = Expected {
    table: "authtoken_token",
    columns: &["key", "created", "user_id"],
    app: "rest_framework.authtoken",
};
const SESSIONS: Expected = Expected {
    table: "django_session",
    columns: &["session_key", "session_data", "expire_date"],
    app: "django.contrib.sessions",
};

/// A table of Django's that has the same columns everywhere.
struct Expected {
    table: &'static str,
    columns: &'static [&'static str],
    app: &'static str,
}

/// Where the settings say that the users are.
#[derive(Debug, Clone)]
pub struct Requirements {
    /// `PORTCULLIS_USER_TABLE`.
    pub users: TableName,
    /// `PORTCULLIS_USERNAME_COLUMN`.
    pub username: String,
    /// Whether people may log in with their address.
    pub by_email: bool,
    /// `PORTCULLIS_TIME_ZONE`.
    pub zone: TimeZone,
}

type Checked<T> = QueryResult<Result<T, SchemaError>>;

/// `?` for what the database says of itself and for what we say of it.
macro_rules! ok {
    ($checked:expr) => {
        match $checked {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

impl Requirements {
    /// Looks before the migrations run; whether they are to make Django's tables. They
    /// make none where Django has been.
    pub fn before_migrations(&self, conn: &mut Connection<'_>) -> Checked<bool> {
        let has_django = inspect::has_django(conn)?;
        if let Some(tokens) = inspect::table(conn, TOKENS.table)? {
            ok!(self.check_owners(conn, &tokens)?);
        }
        if has_django || !self.users.is_ours() {
            ok!(self.find_users(conn)?);
            return Ok(Ok(false));
        }
        if inspect::table(conn, &self.users.quoted())?.is_some() {
            ok!(self.find_table(conn)?);
        }
        Ok(Ok(true))
    }

    /// The user table, if it and the tables that belong to it can be used.
    pub fn find_users(&self, conn: &mut Connection<'_>) -> Checked<UserTable> {
        let users = ok!(self.find_table(conn)?);
        for expected in [TOKENS, SESSIONS] {
            let Expected {
                table,
                columns,
                app,
            } = expected;
            let Some(found) = inspect::table(conn, table)? else {
                return Ok(Err(SchemaError::NoTable { table, app }));
            };
            for column in columns {
                ok!(has_column(&found, column, || format!(
                    "it is not {app}'s table"
                )));
            }
        }
        Ok(Ok(users))
    }

    /// For a database that is not there.
    pub fn no_user_table(&self) -> SchemaError {
        SchemaError::NoUserTable {
            table: self.users.clone(),
            others: Vec::new(),
        }
    }

    fn find_table(&self, conn: &mut Connection<'_>) -> Checked<UserTable> {
        match inspect::table(conn, &self.users.quoted())? {
            Some(found) => {
                // SQLite takes a name in its own definition for a reference to itself.
                let quoted = match conn {
                    Connection::Sqlite(_) => format!("main.{}", self.users.quoted()),
                    Connection::Postgres(_) => self.users.quoted(),
                };
                let holds_unicode = inspect::holds_unicode(conn)?;
                Ok(self.user_table(&found, quoted, holds_unicode))
            }
            None => Ok(Err(SchemaError::NoUserTable {
                table: self.users.clone(),
                others: inspect::tables_with(conn, ["password", "last_login"])?,
            })),
        }
    }

    /// The tokens have to belong to the users of this table.
    fn check_owners(&self, conn: &mut Connection<'_>, tokens: &Table) -> Checked<()> {
        let users = inspect::table(conn, &self.users.quoted())?.unwrap_or_default();
        let owner = tokens.references.iter().find(|it| it.column == "user_id");
        let others = owner.filter(|owner| !owner.table.eq_ignore_ascii_case(&users.name));
        Ok(others.map_or(Ok(()), |owner| {
            Err(SchemaError::OtherUsers {
                table: self.users.clone(),
                owner: owner.table.replace('"', ""),
            })
        }))
    }

    fn user_table(
        &self,
        found: &Table,
        quoted: String,
        holds_unicode: bool,
    ) -> Result<UserTable, SchemaError> {
        let table = || self.users.to_string();
        let key = found.primary_key.as_ref().and_then(|key| found.column(key));
        let key = key.ok_or_else(|| SchemaError::NoKey { table: table() })?;
        let kind = kind_of(&key.data_type).ok_or_else(|| SchemaError::Type {
            table: table(),
            column: key.name.clone(),
            data_type: key.data_type.clone(),
            what: "a primary key",
        })?;
        has_column(found, "password", || "it is not a user table".to_owned())?;
        has_column(found, &self.username, || {
            match found.column("email") {
            Some(_) => "if people log in with their address, set PORTCULLIS_USERNAME_COLUMN=email",
            None => "set PORTCULLIS_USERNAME_COLUMN to the column of the user model's USERNAME_FIELD",
        }.to_owned()
        })?;
        let mut columns = Vec::new();
        for field in Field::ALL {
            let name = match field {
                Field::Id => &key.name,
                Field::Username => &self.username,
                other => other.name(),
            };
            let column = found
                .column(name)
                .map(|column| (column, fits(field, &column.data_type)));
            columns.push(match column {
                None => None,
                Some((column, true)) => Some(column.name.clone()),
                // One can do without a name, but not take an inactive user for another.
                Some(_) if is_name(field) => None,
                Some((column, false)) => {
                    return Err(SchemaError::Type {
                        table: table(),
                        column: column.name.clone(),
                        data_type: column.data_type.clone(),
                        what: "what Django has there",
                    });
                }
            });
        }
        let column = |field: Field| columns.get(field as usize).cloned().flatten();
        let about = About {
            key: kind,
            zone: self.zone.clone(),
            has_unique_names: found.unique.contains(&self.username),
            holds_unicode,
        };
        self.check_email(UserTable::new(&self.users, quoted, about, column))
    }

    fn check_email(&self, users: UserTable) -> Result<UserTable, SchemaError> {
        if self.by_email && !users.has(Field::Email) {
            return Err(SchemaError::NoColumn {
                table: self.users.to_string(),
                column: "email".to_owned(),
                advice: "without addresses PORTCULLIS_LOGIN_WITH can only be username".to_owned(),
            });
        }
        Ok(users)
    }
}

fn has_column(
    table: &Table,
    column: &str,
    advice: impl FnOnce() -> String,
) -> Result<(), SchemaError> {
    if table.column(column).is_some() {
        return Ok(());
    }
    Err(SchemaError::NoColumn {
        table: table.name.clone(),
        column: column.to_owned(),
        advice: advice(),
    })
}
