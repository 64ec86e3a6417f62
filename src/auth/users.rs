//! Users: making them, finding them, giving them passwords.

mod profile;

use super::audit::{Audit, Event, Kind};
use super::client::Client;
use super::clock::Clock;
use super::error::AuthError;
use crate::db::Database;
use crate::models::attempt::account_of;
use crate::models::user::{NewUser, User};
use crate::models::{self, Timestamp, UserId, UserTable};

pub use self::profile::{Profile, ProfileError};

/// The users of the database.
#[derive(Clone)]
pub struct Users {
    database: Database,
    table: UserTable,
    audit: Audit,
    clock: Clock,
}

impl Users {
    pub(super) fn new(database: Database, table: UserTable, audit: Audit, clock: Clock) -> Self {
        Self {
            database,
            table,
            audit,
            clock,
        }
    }

    /// Makes an active user with that hash; `false` if the name is taken.
    pub async fn create(&self, profile: Profile, encoded: String) -> Result<bool, AuthError> {
        let (table, now) = (self.table.clone(), self.clock.timestamp());
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let is_superuser = profile.is_superuser;
                let user = NewUser {
                    password: &encoded,
                    username: &profile.username,
                    email: &profile.email,
                    first_name: &profile.first_name,
                    last_name: &profile.last_name,
                    is_superuser,
                    is_staff: is_superuser,
                    is_active: true,
                    date_joined: now,
                };
                let is_created = table.create(c, &user)?;
                if is_created {
                    let kind = if is_superuser { "superuser" } else { "" };
                    events.push(Event::of_name(Kind::UserCreated, &profile.username, kind));
                }
                Ok(is_created)
            })
            .await
    }

    /// Stores another hash, which ends every session that was made under the old one,
    /// and clears the throttle's counters and known clients of the user; `false` if
    /// there is no such user.
    pub async fn set_password(&self, user: &User, encoded: String) -> Result<bool, AuthError> {
        let (table, user) = (self.table.clone(), user.clone());
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let is_stored = table.update_password(c, &user.id, &encoded)?;
                if is_stored {
                    models::attempt::delete_by_account(c, &account_of(&user.id))?;
                    models::client::delete_by_user(c, &user.id.to_string())?;
                    events.push(Event::of(Kind::PasswordChanged, &user, ""));
                }
                Ok(is_stored)
            })
            .await
    }

    /// The user of that name, active or not.
    pub async fn find(&self, username: &str) -> Result<Option<User>, AuthError> {
        let (table, username) = (self.table.clone(), username.to_owned());
        let found = self
            .database
            .read(move |c| table.find_by_username(c, &username));
        Ok(found.await?)
    }

    /// When the user last logged in; `None` for a date that cannot be read, too.
    pub async fn find_last_login(&self, user: &UserId) -> Result<Option<Timestamp>, AuthError> {
        let (table, user) = (self.table.clone(), user.clone());
        let found = self.database.read(move |c| table.find_last_login(c, &user));
        Ok(found.await?)
    }

    /// How many users there are.
    pub async fn count(&self) -> Result<i64, AuthError> {
        let table = self.table.clone();
        Ok(self.database.read(move |c| table.count(c)).await?)
    }
}
