//! The database, past the server: the rows that a case starts from, and what
//! is there afterwards.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use portcullis::models::Timestamp;
use portcullis::schema::{accounts_customuser, authtoken_token, django_session};

use crate::case::{Case, User};
use crate::support::database::TestDatabase;

pub enum Rows {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What is in the three tables.
pub struct Snapshot {
    /// By id.
    pub users: BTreeMap<i64, UserState>,
    /// The owner's id, by key.
    pub tokens: BTreeMap<String, i64>,
    /// By key.
    pub sessions: BTreeMap<String, SessionState>,
}

#[derive(Queryable, PartialEq)]
pub struct UserState {
    pub password: String,
    pub last_login: Option<Timestamp>,
}

#[derive(Queryable, PartialEq)]
pub struct SessionState {
    pub data: String,
    pub expires: Timestamp,
}

macro_rules! on {
    ($rows:expr, $c:ident => $body:expr) => {
        match $rows {
            Rows::Sqlite($c) => $body,
            Rows::Postgres($c) => $body,
        }
        .expect("the database of the test")
    };
}

impl Rows {
    /// The tables are there once the server has started.
    pub fn open(database: &TestDatabase) -> Self {
        let url = database.url();
        if database.is_sqlite() {
            let mut c = SqliteConnection::establish(&url).expect("the test's database");
            c.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF")
                .expect("pragmas");
            Self::Sqlite(c)
        } else {
            let mut c = PgConnection::establish(&url).expect("the test's database");
            c.batch_execute("SET TIME ZONE 'UTC'")
                .expect("the time zone");
            Self::Postgres(c)
        }
    }

    /// The users, and nothing else.
    pub fn reset(&mut self, users: &[User]) {
        on!(self, c => c.transaction(|c| {
            diesel::delete(authtoken_token::table).execute(c)?;
            diesel::delete(django_session::table).execute(c)?;
            diesel::delete(accounts_customuser::table).execute(c)?;
            for user in users {
                diesel::insert_into(accounts_customuser::table)
                    .values((
                        accounts_customuser::id.eq(user.id),
                        accounts_customuser::password.eq(&user.password),
                        accounts_customuser::is_superuser.eq(false),
                        accounts_customuser::username.eq(&user.username),
                        accounts_customuser::first_name.eq(&user.first_name),
                        accounts_customuser::last_name.eq(&user.last_name),
                        accounts_customuser::email.eq(&user.email),
                        accounts_customuser::is_staff.eq(false),
                        accounts_customuser::is_active.eq(user.is_active),
                        accounts_customuser::date_joined.eq(from_now(-86_400)),
                    ))
                    .execute(c)?;
            }
            QueryResult::Ok(())
        }));
    }

    /// The rows of one case.
    pub fn prepare(&mut self, case: &Case) {
        on!(self, c => c.transaction(|c| {
            for token in &case.tokens {
                diesel::insert_into(authtoken_token::table)
                    .values((
                        authtoken_token::key.eq(&token.key),
                        authtoken_token::created.eq(from_now(0)),
                        authtoken_token::user_id.eq(token.user),
                    ))
                    .execute(c)?;
            }
            for session in &case.sessions {
                diesel::insert_into(django_session::table)
                    .values((
                        django_session::session_key.eq(&session.key),
                        django_session::session_data.eq(&session.data),
                        django_session::expire_date.eq(from_now(session.expires_in)),
                    ))
                    .execute(c)?;
            }
            if let Some(password) = &case.password_of_alice {
                diesel::update(accounts_customuser::table)
                    .filter(accounts_customuser::username.eq("alice"))
                    .set(accounts_customuser::password.eq(password))
                    .execute(c)?;
            }
            QueryResult::Ok(())
        }));
    }

    pub fn snapshot(&mut self) -> Snapshot {
        let users: Vec<(i64, UserState)> = on!(self, c => accounts_customuser::table
            .select((
                accounts_customuser::id,
                (accounts_customuser::password, accounts_customuser::last_login),
            ))
            .load(c));
        let tokens: Vec<(String, i64)> = on!(self, c => authtoken_token::table
            .select((authtoken_token::key, authtoken_token::user_id))
            .load(c));
        let sessions: Vec<(String, SessionState)> = on!(self, c => django_session::table
            .select((
                django_session::session_key,
                (django_session::session_data, django_session::expire_date),
            ))
            .load(c));
        Snapshot {
            users: users.into_iter().collect(),
            tokens: tokens.into_iter().collect(),
            sessions: sessions.into_iter().collect(),
        }
    }
}

fn from_now(seconds: i64) -> Timestamp {
    Timestamp::new(Utc::now() + TimeDelta::seconds(seconds))
}
