//! What a connection needs before its first query.

use diesel::connection::SimpleConnection;

use super::error::OpenError;

/// Statements that each connection runs at its start, and what must be there.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// For SQLite.
    pub sqlite: Option<String>,
    /// For PostgreSQL.
    pub postgres: Option<String>,
    /// Looked for once, when the database is opened.
    pub required: Vec<Required>,
}

/// A table that must be there.
#[derive(Debug, Clone)]
pub struct Required {
    /// Its name, quoted where it has to be.
    pub table: String,
    /// Its columns, separated by commas.
    pub columns: String,
    /// The setting that says so.
    pub because: String,
}

impl Setup {
    /// Looks for the required tables in the database at `url`.
    pub(super) fn check<C: SimpleConnection>(
        &self,
        connection: &mut C,
        url: &str,
    ) -> Result<(), OpenError> {
        for required in &self.required {
            let Required { table, columns, .. } = required;
            let probe = format!("SELECT {columns} FROM {table} LIMIT 0");
            connection
                .batch_execute(&probe)
                .map_err(|reason| OpenError::Table {
                    because: required.because.clone(),
                    url: url.to_owned(),
                    table: table.replace('"', ""),
                    reason: reason.to_string().replace('\n', " "),
                })?;
        }
        Ok(())
    }
}
