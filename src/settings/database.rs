//! The database and the table of users in it.

use std::num::NonZeroUsize;

use super::entry::{key, settings};
use super::parse::{MOST_COUNT, count_or};
use crate::db::DatabaseUrl;
use crate::models::{Requirements, TableName, parse_column};

settings! {
    /// The database and the table of users in it.
    pub struct DatabaseSettings {
        CONNECTION {
            /// The database, as the diesel command line takes it: sqlite://file or postgres://…
            pub url: DatabaseUrl = key("DATABASE_URL").default("sqlite://portcullis.db"),
                DatabaseUrl::parse;
            /// PostgreSQL connections at most
            pub pool: NonZeroUsize = key("PORTCULLIS_DATABASE_POOL").computed("8"),
                count_or(8, MOST_COUNT);
        }
        USERS {
            /// Table of the user model
            pub user_table: TableName = key("PORTCULLIS_USER_TABLE").default("accounts_customuser"),
                TableName::parse;
            /// Column of the user model's USERNAME_FIELD
            pub username_column: String = key("PORTCULLIS_USERNAME_COLUMN").default("username"),
                parse_column;
        }
    }
}

impl DatabaseSettings {
    /// Where the users are.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            users: self.user_table.clone(),
            username: self.username_column.clone(),
        }
    }
}
