//! The audit log: what was done, by whom, from where. Each event is a row of
//! `portcullis_event`, written in the transaction of what it tells of, and a log line
//! once that is committed.

use std::time::Duration;

use diesel::prelude::QueryResult;

use super::client::Client;
use super::clock::Clock;
use super::error::AuthError;
use crate::db::{Connection, Database};
use crate::models::event::NewEvent;
use crate::models::user::User;
use crate::models::{self, Timestamp};

/// The target of the log lines: `PORTCULLIS_LOG=warn,portcullis::audit=info` keeps them
/// where other lines are not wanted.
pub const TARGET: &str = "portcullis::audit";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A good login: a token and a session, or a token alone.
    Login,
    /// A login that was refused.
    LoginFailed,
    /// A login that was refused before its password was checked.
    Throttled,
    /// A logout.
    Logout,
    /// A new user.
    UserCreated,
    /// Another password.
    PasswordChanged,
    /// The same password, hashed with the preferred hasher.
    HashUpgraded,
    /// A token made, or shown, by an admin.
    TokenShown,
    /// A token replaced.
    TokenReset,
    /// Failures cleared by an admin.
    ThrottleCleared,
    /// Keys sealed by an admin.
    KeysSealed,
    /// Tokens made plaintext again by an admin.
    KeysUnsealed,
    /// Expired sessions deleted by an admin.
    SessionsCleared,
}

impl Kind {
    /// The word in the table and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::Throttled => "throttled",
            Self::Logout => "logout",
            Self::UserCreated => "user_created",
            Self::PasswordChanged => "password_changed",
            Self::HashUpgraded => "hash_upgraded",
            Self::TokenShown => "token_shown",
            Self::TokenReset => "token_reset",
            Self::ThrottleCleared => "throttle_cleared",
            Self::KeysSealed => "keys_sealed",
            Self::KeysUnsealed => "keys_unsealed",
            Self::SessionsCleared => "sessions_cleared",
        }
    }
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Event {
    kind: Kind,
    user: Option<String>,
    username: String,
    detail: String,
}

impl Event {
    /// Something that concerns no user.
    pub fn without_user(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            user: None,
            username: String::new(),
            detail: detail.into(),
        }
    }

    /// Something that a user did, or that was done to them.
    pub fn of(kind: Kind, user: &User, detail: impl Into<String>) -> Self {
        Self {
            user: Some(user.id.to_string()),
            ..Self::of_name(kind, &user.username, detail)
        }
    }

    /// The same, with a name only.
    pub fn of_name(kind: Kind, username: &str, detail: impl Into<String>) -> Self {
        Self {
            username: username.to_owned(),
            ..Self::without_user(kind, detail)
        }
    }

    fn store(&self, conn: &mut Connection<'_>, client: &Client, at: Timestamp) -> QueryResult<()> {
        models::event::create(
            conn,
            &NewEvent {
                at,
                kind: self.kind.name(),
                user_id: self.user.as_deref(),
                username: &self.username,
                address: &client.address_text(),
                entry_point: &client.entry_point,
                request_id: &client.request_id,
                detail: &self.detail,
            },
        )
    }

    /// The log line. Texts are written as Rust writes them in source, so that no name
    /// can end a line, colour a terminal or turn the reading order.
    pub(super) fn log(&self, client: &Client) {
        tracing::info!(
            target: TARGET,
            event = self.kind.name(),
            user_id = self.user,
            username = ?self.username,
            address = %client.address_text(),
            entry_point = ?client.entry_point,
            request_id = %client.request_id,
            detail = ?self.detail,
        );
    }
}

/// The events of a transaction.
#[derive(Default)]
pub(super) struct Events(Vec<Event>);

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        self.0.push(event);
    }
}

/// Writes that leave a trace.
#[derive(Clone)]
pub struct Audit {
    database: Database,
    clock: Clock,
    /// How long the rows are kept.
    event_age: Duration,
}

impl Audit {
    pub(super) fn new(database: Database, clock: Clock, event_age: Duration) -> Self {
        Self {
            database,
            clock,
            event_age,
        }
    }

    /// Runs a write; its events are stored with it and logged after it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        client: &Client,
        work: impl FnOnce(&mut Connection<'_>, &mut Events) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, AuthError> {
        let now = self.clock.timestamp();
        let by = client.clone();
        let (value, events) = self
            .database
            .write(move |c| {
                let mut events = Events::default();
                let value = work(c, &mut events)?;
                for event in &events.0 {
                    event.store(c, &by, now)?;
                }
                Ok((value, events))
            })
            .await?;
        for event in &events.0 {
            event.log(client);
        }
        Ok(value)
    }

    /// Stores and logs one event by itself.
    pub(super) async fn record(&self, client: &Client, event: Event) -> Result<(), AuthError> {
        self.write(client, |_, events| {
            events.push(event);
            Ok(())
        })
        .await
    }

    /// Deletes events that are past their age, `limit` at most; how many went.
    pub(super) fn delete_old(&self, conn: &mut Connection<'_>, limit: i64) -> QueryResult<usize> {
        let age = chrono::TimeDelta::from_std(self.event_age).unwrap_or_default();
        let now = self.clock.now();
        let before = now.checked_sub_signed(age).unwrap_or(now);
        models::event::delete_old(conn, Timestamp::new(before), limit)
    }
}
