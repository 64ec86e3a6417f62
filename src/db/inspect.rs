//! Questions about the database itself, for `portcullis check`.

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Bool;

use super::connection::Connection;

/// Whether we are connected as a superuser; never on SQLite, which has no users.
pub fn is_superuser(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let query = diesel::dsl::sql::<Bool>("SELECT current_setting('is_superuser') = 'on'");
    match connection {
        Connection::Sqlite(_) => Ok(false),
        Connection::Postgres(c) => query.get_result(*c),
    }
}

/// Whether Django has migrated this database, so that it may share the tables.
pub fn has_django(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let probe = diesel::sql_query("SELECT 1 FROM django_migrations WHERE 1 = 0");
    let answer = match connection {
        Connection::Sqlite(c) => probe.execute(*c),
        Connection::Postgres(c) => probe.execute(*c),
    };
    match answer {
        Ok(_) => Ok(true),
        Err(Error::DatabaseError(_, about)) if about.message().contains("django_migrations") => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
