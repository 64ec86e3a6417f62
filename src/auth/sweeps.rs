//! Deleting rows that have expired. A new table with such rows adds a line to `SWEEPS`.

use std::time::Duration;

use diesel::prelude::QueryResult;

use super::audit::{Event, Kind};
use super::{Auth, AuthError, Client};
use crate::db::Connection;
use crate::models::{adopted_token, session, upgraded_hash};

/// Deletes some rows; how many went.
type Sweep = fn(&Auth, &mut Connection<'_>, limit: i64) -> QueryResult<usize>;

/// What each round of [`Auth::sweep`] does.
const SWEEPS: &[Sweep] = &[
    |auth, c, limit| session::delete_expired(c, auth.table.zone(), auth.clock.timestamp(), limit),
    |auth, c, limit| auth.throttle.delete_expired(c, limit),
    |auth, c, limit| auth.throttle.delete_surplus(c, limit),
    |auth, c, limit| auth.throttle.delete_old_clients(c, limit),
    |auth, c, limit| auth.audit.delete_old(c, limit),
    |_, c, limit| adopted_token::delete_orphans(c, limit),
    |auth, c, limit| upgraded_hash::delete_old(c, auth.clock.timestamp(), limit),
];

/// Rows that one sweep deletes in a transaction: few, so that a login never waits long
/// behind it.
const BATCH: i64 = 500;

/// Between two transactions others get their turn. SQLite's lock has no queue: a
/// process that waits for it looks again every 25 ms or so, and would find it taken
/// each time.
const PAUSE: Duration = Duration::from_millis(25);

impl Auth {
    /// Deletes all rows that have expired, in small transactions; how many went. Of the
    /// processes that share a PostgreSQL database one does it; the others do nothing.
    pub async fn sweep(&self) -> Result<usize, AuthError> {
        let mut total = 0;
        loop {
            let auth = self.clone();
            let swept = self.database.sweep(move |c| {
                let run = |sweep: &Sweep| sweep(&auth, c, BATCH);
                SWEEPS.iter().map(run).collect::<QueryResult<Vec<usize>>>()
            });
            let Some(swept) = swept.await? else {
                return Ok(total);
            };
            total += swept.iter().sum::<usize>();
            if swept.into_iter().all(is_last_batch) {
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Deletes expired sessions in small transactions; how many went.
    pub async fn clear_sessions(&self) -> Result<usize, AuthError> {
        let mut total = 0;
        loop {
            let (zone, now) = (self.table.zone().clone(), self.clock.timestamp());
            let deleting = self
                .database
                .write(move |c| session::delete_expired(c, &zone, now, BATCH));
            let deleted = deleting.await?;
            total += deleted;
            if is_last_batch(deleted) {
                let event = Event::without_user(Kind::SessionsCleared, format!("{total} sessions"));
                self.audit.record(&Client::command_line(), event).await?;
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn is_last_batch(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows < BATCH)
}
