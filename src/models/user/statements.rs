//! The writes to the user table, whose name and columns are only known when it runs.

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::QueryResult;
use diesel::query_builder::{AstPass, Query, QueryFragment};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Bool, HasSqlType, Integer, Text, Timestamp as TimestampType};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

use crate::models::columns::DjangoTime;
use crate::models::user_id::{KeyKind, UserId, value_of};
use crate::models::user_table::{Field, UserTable};

/// A name to be compared as the column compares it: PostgreSQL is not told its type, so
/// that it takes the column's, such as `citext`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a>(pub(super) &'a str);

/// The type of a [`Name`]: none that has a number.
#[derive(diesel::sql_types::SqlType)]
#[diesel(postgres_type(oid = 0, array_oid = 0))]
pub(super) struct Untyped;

value_of!(Text: Name);

impl ToSql<Untyped, Pg> for Name<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl QueryFragment<Pg> for Name<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_bind_param::<Untyped, _>(self)
    }
}

impl QueryFragment<Sqlite> for Name<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        pass.push_bind_param::<Text, _>(self.0)
    }
}

/// What a column gets.
pub(super) enum Value<'a> {
    Text(&'a str),
    Time(DjangoTime),
    Flag(bool),
    Key(UserId),
    Null,
}

/// On both backends alike.
macro_rules! fragments {
    ($($backend:ty: $lock:literal),*) => {$(
        impl QueryFragment<$backend> for Value<'_> {
            fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                match self {
                    Self::Text(text) => pass.push_bind_param::<Text, str>(text),
                    Self::Time(time) => pass.push_bind_param::<TimestampType, _>(time),
                    Self::Flag(flag) => pass.push_bind_param::<Bool, _>(flag),
                    Self::Key(id) => id.walk_ast(pass),
                    Self::Null => {
                        pass.push_sql("NULL");
                        Ok(())
                    }
                }
            }
        }

        /// The row is locked until the transaction ends.
        impl QueryFragment<$backend> for Unchanged<'_> {
            fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                pass.push_sql("SELECT 1 FROM ");
                pass.push_sql(self.0.table.quoted());
                self.0.walk_ast(pass.reborrow())?;
                pass.push_sql($lock);
                Ok(())
            }
        }
    )*};
}
fragments!(Sqlite: "", Pg: " FOR UPDATE");

/// `INSERT INTO users …`
pub(super) struct Insert<'a> {
    table: &'a UserTable,
    values: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Insert<'a> {
    /// Of the values that the table has columns for.
    pub(super) fn new(
        table: &'a UserTable,
        values: impl IntoIterator<Item = (Field, Value<'a>)>,
    ) -> Self {
        // The database makes integers itself; Django makes UUIDs.
        let key = match table.key() {
            KeyKind::Uuid => Some(UserId::Uuid(Uuid::new_v4())),
            KeyKind::Integer | KeyKind::Text => None,
        };
        let key = key.map(|key| (Field::Id, Value::Key(key)));
        Self {
            values: columns(table, key.into_iter().chain(values)),
            table,
        }
    }
}

impl<DB: Backend> QueryFragment<DB> for Insert<'_>
where
    for<'v> Value<'v>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("INSERT INTO ");
        pass.push_sql(self.table.quoted());
        for (n, (column, _)) in self.values.iter().enumerate() {
            pass.push_sql(if n == 0 { " (" } else { ", " });
            pass.push_identifier(column)?;
        }
        for (n, (_, value)) in self.values.iter().enumerate() {
            pass.push_sql(if n == 0 { ") VALUES (" } else { ", " });
            value.walk_ast(pass.reborrow())?;
        }
        pass.push_sql(")");
        Ok(())
    }
}

/// `UPDATE users SET … WHERE …`: one user.
pub(super) struct Update<'a> {
    values: Vec<(&'a str, Value<'a>)>,
    which: Which<'a>,
}

/// `SELECT 1 …`, if the user is still the same.
pub(super) struct Unchanged<'a>(Which<'a>);

/// `WHERE …`
struct Which<'a> {
    table: &'a UserTable,
    id: &'a UserId,
    /// Only if this is the password column, and the user active.
    password: Option<&'a str>,
}

impl<'a> Update<'a> {
    /// To the values that the table has columns for.
    pub(super) fn new(
        table: &'a UserTable,
        id: &'a UserId,
        values: impl IntoIterator<Item = (Field, Value<'a>)>,
    ) -> Self {
        let password = None;
        Self {
            values: columns(table, values),
            which: Which {
                table,
                id,
                password,
            },
        }
    }

    /// Only if the user is active, and the password column is this still.
    pub(super) fn if_password_is(mut self, encoded: &'a str) -> Self {
        self.which.password = Some(encoded);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<'a> Unchanged<'a> {
    /// If that user is active, and the password column is this still.
    pub(super) fn new(table: &'a UserTable, id: &'a UserId, encoded: &'a str) -> Self {
        let password = Some(encoded);
        Self(Which {
            table,
            id,
            password,
        })
    }
}

impl Query for Unchanged<'_> {
    type SqlType = Integer;
}

impl<DB: Backend> QueryFragment<DB> for Update<'_>
where
    for<'v> Value<'v>: QueryFragment<DB>,
    for<'w> Which<'w>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("UPDATE ");
        pass.push_sql(self.which.table.quoted());
        for (n, (column, value)) in self.values.iter().enumerate() {
            pass.push_sql(if n == 0 { " SET " } else { ", " });
            pass.push_identifier(column)?;
            pass.push_sql(" = ");
            value.walk_ast(pass.reborrow())?;
        }
        self.which.walk_ast(pass)
    }
}

impl<DB: Backend> QueryFragment<DB> for Which<'_>
where
    UserId: QueryFragment<DB>,
    DB: HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let column = |field| self.table.column(field);
        pass.push_sql(" WHERE ");
        pass.push_identifier(column(Field::Id).unwrap_or_default())?;
        pass.push_sql(" = ");
        self.id.walk_ast(pass.reborrow())?;
        let Some(password) = self.password else {
            return Ok(());
        };
        pass.push_sql(" AND ");
        pass.push_identifier(column(Field::Password).unwrap_or_default())?;
        pass.push_sql(" = ");
        pass.push_bind_param::<Text, str>(password)?;
        if let Some(is_active) = column(Field::IsActive) {
            pass.push_sql(" AND ");
            pass.push_identifier(is_active)?;
        }
        Ok(())
    }
}

/// Those that the table has, by their names there; of two for one column, the first.
fn columns<'a>(
    table: &'a UserTable,
    values: impl IntoIterator<Item = (Field, Value<'a>)>,
) -> Vec<(&'a str, Value<'a>)> {
    let mut found: Vec<(&str, Value<'_>)> = Vec::new();
    for (field, value) in values {
        if let Some(column) = table.column(field)
            && found.iter().all(|(other, _)| *other != column)
        {
            found.push((column, value));
        }
    }
    found
}
