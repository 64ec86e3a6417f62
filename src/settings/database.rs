//! The database and the table of users in it.

use std::num::NonZeroUsize;

use super::entry::{key, settings};
use super::parse::{MOST_COUNT, count_or};
use crate::db::DatabaseUrl;
use crate::models::UserTable;

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
            pub user_table: UserTable = key("PORTCULLIS_USER_TABLE").default("accounts_customuser"),
                UserTable::parse;
        }
    }
}
