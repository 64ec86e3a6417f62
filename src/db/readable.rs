//! [`readable`]: rows that are not what the schema says.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use diesel::prelude::QueryResult;
use diesel::result::Error;

/// What was logged, so that a client that asks again and again does not fill the log.
static LOGGED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
const MOST_LOGGED: usize = 100;

/// A row that may be missing or unreadable: SQLite stores what it is given, a BLOB in a
/// column of text too. An unreadable row counts as missing: it lets nobody in, and
/// affects only its owner.
pub fn readable<T>(result: QueryResult<T>) -> QueryResult<Option<T>> {
    match result {
        Ok(row) => Ok(Some(row)),
        Err(Error::NotFound) => Ok(None),
        Err(Error::DeserializationError(reason)) => {
            if is_new(reason.to_string()) {
                tracing::warn!(%reason, "a row of the database cannot be read; said once");
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_new(reason: String) -> bool {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    logged.len() < MOST_LOGGED && logged.insert(reason)
}
