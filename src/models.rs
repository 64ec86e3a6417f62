//! One file a table: its row, what may be inserted, and its queries.
//!
//! Queries take the connection first and return Diesel's `QueryResult`; what they mean
//! is decided in [`crate::auth`].

pub mod adopted_token;
pub mod attempt;
pub mod client;
pub mod columns;
pub mod event;
pub mod requirements;
mod schema_error;
pub mod session;
mod time_zone;
pub mod token;
pub mod upgraded_hash;
pub mod user;
mod user_id;
mod user_table;

pub use self::columns::{DjangoTime, Timestamp};
pub use self::requirements::Requirements;
pub use self::schema_error::SchemaError;
pub use self::time_zone::TimeZone;
pub use self::user_id::{KeyKind, UserId};
pub use self::user_table::{Field, TableName, UserTable, parse_column};

use std::collections::HashMap;

/// The primary key of a row, and the one that it has as long as it is stored the other
/// way: sealed, or as plaintext.
#[derive(Clone)]
pub struct RowKeys {
    /// The key.
    pub key: String,
    /// Looked for only if there is no such row.
    pub or_else: String,
}

impl RowKeys {
    /// Both of them.
    pub fn both(&self) -> [&str; 2] {
        [&self.key, &self.or_else]
    }

    /// All of them, of many.
    fn of_all(keys: &[Self]) -> Vec<&str> {
        keys.iter().flat_map(Self::both).collect()
    }

    /// The row among those found, with its key.
    fn choose<'a, V>(&self, found: &'a HashMap<String, V>) -> Option<(&'a String, &'a V)> {
        let or_else = || found.get_key_value(&self.or_else);
        found.get_key_value(&self.key).or_else(or_else)
    }
}
