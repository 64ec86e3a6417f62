//! Failed logins, as an admin reads and clears them.

use std::net::IpAddr;
use std::time::Duration;

use diesel::prelude::QueryResult;

use super::Throttle;
use crate::auth::audit::{Event, Kind};
use crate::auth::client::{Client, network_of};
use crate::auth::error::AuthError;
use crate::db::Connection;
use crate::models::attempt::{Attempt, account_of};
use crate::models::user::User;
use crate::models::{self, UserTable};

/// Whose failures are to be cleared.
pub enum Whose {
    /// One user's, from everywhere.
    User(User),
    /// Those that came from the network of this address.
    Network(IpAddr),
    /// All of them.
    All,
}

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// The user's name, `every account`, or the digest of a name that no user has.
    pub account: String,
    /// The network or the browser; `everywhere` for the account as such.
    pub client: String,
    /// How many.
    pub failures: i64,
    /// How long no further attempt is allowed.
    pub blocked_for: Duration,
}

impl Throttle {
    /// The accounts and clients with the most failures.
    pub async fn find_failures(&self, limit: i64) -> Result<Vec<Failures>, AuthError> {
        let (table, now) = (self.table.clone(), self.clock.millis());
        let found = self.database.read(move |c| {
            let rows = models::attempt::find_worst(c, limit)?;
            rows.into_iter()
                .filter(|row| row.failures_at(now) > 0)
                .map(|row| failures(c, &table, &row, now))
                .collect()
        });
        Ok(found.await?)
    }

    /// Clears failures; how many counters that were.
    pub async fn clear_failures(&self, whose: Whose) -> Result<usize, AuthError> {
        self.audit
            .write(&Client::command_line(), move |c, events| {
                let (deleted, event) = match &whose {
                    Whose::User(user) => (
                        models::attempt::delete_by_account(c, &account_of(&user.id))?,
                        Event::of(Kind::ThrottleCleared, user, ""),
                    ),
                    Whose::Network(address) => (
                        models::attempt::delete_by_client(c, &network_of(*address))?,
                        Event::without_user(Kind::ThrottleCleared, network_of(*address)),
                    ),
                    Whose::All => (
                        models::attempt::delete_all(c)?,
                        Event::without_user(Kind::ThrottleCleared, "everything"),
                    ),
                };
                events.push(event);
                Ok(deleted)
            })
            .await
    }
}

fn failures(
    conn: &mut Connection<'_>,
    table: &UserTable,
    row: &Attempt,
    now: i64,
) -> QueryResult<Failures> {
    let user = match table.key().parse(&row.account) {
        Some(id) => table.find(conn, &id)?,
        None => None,
    };
    let or = |text: &str, other: &str| match text {
        "" => other.to_owned(),
        text => text.to_owned(),
    };
    Ok(Failures {
        account: user.map_or_else(|| or(&row.account, "every account"), |user| user.username),
        client: or(&row.client, "everywhere"),
        failures: row.failures_at(now),
        blocked_for: Duration::from_millis(row.blocked_for(now).unsigned_abs()),
    })
}
