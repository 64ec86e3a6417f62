//! The database and the table of users in it.

use std::num::NonZeroUsize;

use super::entry::{key, settings};
use super::parse::{MOST_COUNT, count_or, one_of};
use crate::auth::LoginWith;
use crate::db::DatabaseUrl;
use crate::models::{Requirements, TableName, TimeZone, parse_column};

const LOGIN_WITH: &[(&str, LoginWith)] = &[
    ("username", LoginWith::Username),
    ("email", LoginWith::Email),
    ("either", LoginWith::Either),
];

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
            /// Django's TIME_ZONE, for SQLite where USE_TZ is False
            pub time_zone: TimeZone = key("PORTCULLIS_TIME_ZONE").default("UTC"), TimeZone::parse;
            /// username, email or either: what people log in with; an address that two active
            /// users share is nobody's
            pub login_with: LoginWith = key("PORTCULLIS_LOGIN_WITH").default("username"),
                one_of(LOGIN_WITH);
        }
    }
}

impl DatabaseSettings {
    /// Where the users are.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            users: self.user_table.clone(),
            username: self.username_column.clone(),
            by_email: self.login_with.takes_emails(),
            zone: self.time_zone.clone(),
        }
    }
}
