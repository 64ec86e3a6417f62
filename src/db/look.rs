//! [`look`]: reads before the database is opened.

use diesel::prelude::QueryResult;

use super::connection::Connection;
use super::error::OpenError;
use super::url::DatabaseUrl;
use super::{postgres, sqlite};

/// Runs a read on a connection of its own, before the database is opened; `None` if
/// there is no such file.
pub fn look<T>(
    url: &DatabaseUrl,
    work: impl FnOnce(&mut Connection<'_>) -> QueryResult<T>,
) -> Result<Option<T>, OpenError> {
    let failed = |reason: &dyn std::fmt::Display| OpenError::Connect {
        url: url.to_string(),
        reason: reason.to_string().trim().replace('\n', " "),
    };
    let looked = match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => return Ok(None),
        DatabaseUrl::Sqlite(path) => {
            let mut c = sqlite::connect_to_read(path).map_err(|error| failed(&error))?;
            work(&mut Connection::Sqlite(&mut c))
        }
        DatabaseUrl::Postgres(text) => {
            postgres::apart(text, |c| work(&mut Connection::Postgres(c)))
                .map_err(|error| failed(&error))?
        }
    };
    looked.map(Some).map_err(|error| failed(&error))
}
