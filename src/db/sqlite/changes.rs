//! What our writer's connection changes, told by SQLite itself.
//!
//! Temporary triggers, which exist on that connection only, call a function for
//! each row of the three tables that is inserted, updated or deleted, by whatever
//! statement. So nobody who writes a query has to think of what is remembered.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::{QueryResult, RunQueryDsl};
use diesel::sql_types::{BigInt, Binary, Integer, Nullable};
use diesel::sqlite::SqliteConnection;

use crate::db::{UserTable, kept};

/// So many in one transaction are told of; more are like a commit of somebody else.
const MOST: usize = 65_536;

/// A table whose rows are looked up by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// `authtoken_token`, by `key`.
    Tokens,
    /// `django_session`, by `session_key`.
    Sessions,
    /// The user table, by `id`.
    Users,
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Tokens, Self::Sessions, Self::Users];

    /// Its name in our queries, and its key's.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Tokens => ("authtoken_token", "key"),
            Self::Sessions => ("django_session", "session_key"),
            Self::Users => ("accounts_customuser", "id"),
        }
    }
}

/// A key of a table, as a number: a different one in each process, so that nobody
/// can make keys that share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::db) struct Tag(u64);

impl Tag {
    /// One of so many places.
    pub(in crate::db) fn place(self, places: usize) -> usize {
        usize::try_from(self.0 % places as u64).unwrap_or_default()
    }

    /// A part of it that has nothing to do with its place.
    pub(in crate::db) fn trace(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }
}

/// What the open transaction has changed so far, or tried to.
#[derive(Default)]
pub(super) struct Changes {
    hashes: RandomState,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    changed: Vec<(Table, Tag)>,
    /// Whether there was more, or what nobody can read.
    is_incomplete: bool,
}

impl Changes {
    pub(super) fn tag(&self, table: Table, key: &[u8]) -> Tag {
        Tag(self.hashes.hash_one((table, key)))
    }

    fn tell(&self, table: Option<Table>, key: Option<&[u8]>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match (table, key) {
            (Some(table), Some(key)) if told.changed.len() < MOST => {
                told.changed.push((table, self.tag(table, key)));
            }
            _ => told.is_incomplete = true,
        }
    }

    /// All since the last time; `None` if that cannot be told.
    pub(super) fn take(&self) -> Option<Vec<(Table, Tag)>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Told {
            changed,
            is_incomplete,
        } = std::mem::take(&mut *told);
        (!is_incomplete).then_some(changed)
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Tells that the row of that key has changed.
    fn portcullis_changed(table: Integer, key: Nullable<Binary>) -> Integer;
}

/// What may keep our triggers from telling all, or from telling it in the words of
/// those who ask: an encoding of its own, REPLACE, which deletes behind the triggers'
/// backs, and keys that are equal without being the same.
const OBSTACLES: &str = "
    SELECT count(*) AS number FROM sqlite_schema WHERE sql LIKE '%replace%'
        OR (sql LIKE '%collate%' AND tbl_name IN ('authtoken_token', 'django_session'))
        OR (SELECT encoding FROM pragma_encoding) <> 'UTF-8'";

#[derive(diesel::QueryableByName)]
struct Obstacles {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(diesel::QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

#[derive(diesel::QueryableByName)]
struct SchemaVersion {
    #[diesel(sql_type = BigInt)]
    schema_version: i64,
}

/// Lets a connection tell what it changes; says why if it cannot. To be asked again
/// when the schema has changed.
pub(super) fn tell_of(
    connection: &mut SqliteConnection,
    users: &UserTable,
    changes: &Arc<Changes>,
) -> Result<(), String> {
    let set_up = |error: diesel::result::Error| error.to_string();
    let obstacles: Obstacles = diesel::sql_query(OBSTACLES)
        .get_result(connection)
        .map_err(set_up)?;
    if obstacles.number > 0 {
        return Err("its schema has REPLACE, or its keys a collation or encoding".to_owned());
    }
    let changes = Arc::clone(changes);
    portcullis_changed_utils::register_nondeterministic_impl(
        connection,
        move |table: i32, key: Option<Vec<u8>>| {
            let table = Table::ALL.into_iter().find(|it| *it as i32 == table);
            changes.tell(table, key.as_deref());
            0
        },
    )
    .and_then(|()| connection.batch_execute(&triggers(users)))
    .map_err(set_up)
}

/// What changes when another connection commits, and never else.
pub(super) fn data_version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    let query = kept(diesel::sql_query("PRAGMA data_version"));
    let found: DataVersion = query.get_result(connection)?;
    Ok(found.data_version)
}

/// What changes with the schema, whoever changes it.
pub(super) fn schema_version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    let query = kept(diesel::sql_query("PRAGMA schema_version"));
    let found: SchemaVersion = query.get_result(connection)?;
    Ok(found.schema_version)
}

fn triggers(users: &UserTable) -> String {
    let mut statements = String::new();
    for table in Table::ALL {
        let (name, key) = table.names();
        let name = match table {
            // A view has no rows of its own.
            Table::Users => users.quoted(),
            Table::Tokens | Table::Sessions => name.to_owned(),
        };
        let number = table as i32;
        for (event, rows) in [
            ("INSERT", &["NEW"][..]),
            ("UPDATE", &["OLD", "NEW"]),
            ("DELETE", &["OLD"]),
        ] {
            let mut body = String::new();
            for row in rows {
                body += &format!("SELECT portcullis_changed({number}, CAST({row}.{key} AS BLOB));");
                if table == Table::Users {
                    // A token is looked up together with its user.
                    let (tokens, key) = Table::Tokens.names();
                    let number = Table::Tokens as i32;
                    body += &format!(
                        "SELECT portcullis_changed({number}, CAST({key} AS BLOB)) \
                         FROM {tokens} WHERE user_id = {row}.id;"
                    );
                }
            }
            let columns = match (table, event) {
                // No look-up reads when somebody last logged in.
                (Table::Users, "UPDATE") => format!("OF {}", UserTable::lasting_columns()),
                _ => String::new(),
            };
            statements += &format!(
                "CREATE TEMPORARY TRIGGER portcullis_changed_{number}_{event} \
                 AFTER {event} {columns} ON {name} BEGIN {body} END;"
            );
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use diesel::connection::Connection as _;

    use super::*;

    /// Whether changes are told in a database of Django's tables and that.
    fn tells(first: &str, also: &str) -> bool {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let tables = format!(
            "{first};
             CREATE TABLE accounts_customuser
               (id, password, is_superuser, username, first_name, last_name, email, is_staff,
                is_active, date_joined, slug DEFAULT '');
             CREATE TABLE authtoken_token (key PRIMARY KEY, created, user_id);
             CREATE TABLE django_session (session_key, session_data, expire_date);
             {also}"
        );
        connection.batch_execute(&tables).unwrap();
        let users = UserTable::parse("accounts_customuser").unwrap();
        tell_of(&mut connection, &users, &Arc::default()).is_ok()
    }

    #[test]
    fn where_a_change_could_go_untold_none_is_told() {
        assert!(tells("", ""));
        assert!(tells("", "CREATE TABLE a (b COLLATE NOCASE)"));
        assert!(tells(
            "",
            "CREATE TRIGGER a AFTER DELETE ON django_session BEGIN SELECT 1; END"
        ));
        for (first, also) in [
            ("PRAGMA encoding = 'UTF-16le'", ""),
            ("", "CREATE TABLE a (b PRIMARY KEY ON CONFLICT REPLACE)"),
            (
                "",
                "CREATE TRIGGER a AFTER DELETE ON django_session BEGIN
                   REPLACE INTO authtoken_token VALUES ('a', '', 1); END",
            ),
            (
                "",
                "CREATE UNIQUE INDEX a ON authtoken_token (key COLLATE NOCASE)",
            ),
            ("", "DROP TABLE django_session"),
        ] {
            assert!(!tells(first, also), "{first} {also}");
        }
    }
}
