//! What our writer's connection changes, told by SQLite itself.
//!
//! Temporary triggers, which exist on that connection only, call a function for
//! each row of the three tables that is inserted, updated or deleted, by whatever
//! statement. So nobody who writes a query has to think of what is remembered.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::QueryResult;
use diesel::sql_types::{Binary, Integer, Nullable};
use diesel::sqlite::SqliteConnection;

use crate::db::UserTable;

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

/// Lets a connection tell what it changes.
pub(super) fn tell_of(
    connection: &mut SqliteConnection,
    users: &UserTable,
    changes: &Arc<Changes>,
) -> QueryResult<()> {
    let changes = Arc::clone(changes);
    portcullis_changed_utils::register_nondeterministic_impl(
        connection,
        move |table: i32, key: Option<Vec<u8>>| {
            let table = Table::ALL.into_iter().find(|it| *it as i32 == table);
            changes.tell(table, key.as_deref());
            0
        },
    )?;
    connection.batch_execute(&triggers(users))
}

fn triggers(users: &UserTable) -> String {
    // Or what REPLACE deletes would be told to no trigger.
    let mut statements = "PRAGMA recursive_triggers = ON;".to_owned();
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
            statements += &format!(
                "CREATE TEMPORARY TRIGGER portcullis_changed_{number}_{event} \
                 AFTER {event} ON {name} BEGIN {body} END;"
            );
        }
    }
    statements
}
