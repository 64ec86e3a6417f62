//! Why the tables of a database cannot be used.

use super::user_table::TableName;

/// Why the tables cannot be used: one line that names the column or the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no such user table.
    #[error("PORTCULLIS_USER_TABLE is {table}, but there is no such table: {}", advice(.others))]
    NoUserTable {
        /// What the setting says.
        table: TableName,
        /// Tables that look like one.
        others: Vec<String>,
    },
    /// Tokens of other users than those in the user table.
    #[error(
        "authtoken_token belongs to the users in {owner}, but PORTCULLIS_USER_TABLE is {table}: with it, people would be taken for others; set PORTCULLIS_USER_TABLE={owner}"
    )]
    OtherUsers {
        /// What the setting says.
        table: TableName,
        /// The table that the tokens refer to.
        owner: String,
    },
    /// A table of a Django app is not there.
    #[error(
        "there is no table {table}: in a Django project, add {app} to INSTALLED_APPS and run `manage.py migrate`"
    )]
    NoTable {
        /// Its name.
        table: &'static str,
        /// The app that makes it.
        app: &'static str,
    },
    /// A table has no such column.
    #[error("{table} has no column {column}, which Portcullis needs; {advice}")]
    NoColumn {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// What to do.
        advice: String,
    },
    /// A column has a type that our queries do not fit.
    #[error("{table}.{column} has the type {data_type}, which Portcullis cannot use as {what}")]
    Type {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// What the database says.
        data_type: String,
        /// What it should be.
        what: &'static str,
    },
    /// The user table has no primary key, or one of several columns.
    #[error("{table} has no primary key of one column, so Portcullis cannot tell its users apart")]
    NoKey {
        /// Which table.
        table: String,
    },
}

fn advice(others: &[String]) -> String {
    match others {
        [] => "check the name, or run `manage.py migrate` first".to_owned(),
        [one, ..] => format!(
            "the users seem to be in {}: set PORTCULLIS_USER_TABLE={one}",
            others.join(" or ")
        ),
    }
}
