//! One file a table: its row, what may be inserted, and its queries.
//!
//! Queries take the connection first and return Diesel's `QueryResult`; what
//! they mean is decided in [`crate::auth`].

pub mod attempt;
pub mod client;
pub mod columns;
pub mod event;
pub mod session;
pub mod token;
pub mod user;

pub use self::columns::{Timestamp, UserId};

use diesel::prelude::QueryResult;
use diesel::result::Error;

/// A row that may be missing, or that nobody can read: SQLite keeps what it is
/// given, a BLOB in a column of text too. Such a row is as good as none, so
/// that it lets nobody in, and troubles nobody but its owner.
fn readable<T>(result: QueryResult<T>) -> QueryResult<Option<T>> {
    match result {
        Ok(row) => Ok(Some(row)),
        Err(Error::NotFound) => Ok(None),
        Err(Error::DeserializationError(reason)) => {
            tracing::warn!(%reason, "a row of the database cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
