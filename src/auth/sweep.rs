//! Deleting what has run out: sessions, the throttle's counters, events.

use std::time::Duration;

use super::event::{Event, Kind};
use super::{Auth, AuthError, Client};
use crate::db::Connection;
use crate::models::{self, Timestamp};

/// Rows that one transaction deletes: small, so that a login never waits long
/// behind it.
const BATCH: i64 = 500;

/// Between two transactions others get their turn. SQLite's lock knows no queue:
/// a process that waits for it looks again every 25 ms or so, and would find it
/// taken each time.
const PAUSE: Duration = Duration::from_millis(25);

impl Auth {
    /// Deletes what has run out, in small transactions; how many rows went.
    ///
    /// Where many processes share a PostgreSQL database, one of them does it at
    /// a time, and the others have nothing to do.
    pub async fn sweep(&self) -> Result<usize, AuthError> {
        let mut all = 0;
        loop {
            let auth = self.clone();
            let swept = self.database().sweep(move |c| {
                let now = auth.now();
                let age = chrono::TimeDelta::from_std(auth.0.event_age).unwrap_or_default();
                let before = now.to_utc().checked_sub_signed(age).map(Timestamp::new);
                Ok([
                    models::session::delete_expired(c, now, BATCH)?,
                    auth.sweep_attempts(c, BATCH)?,
                    models::event::delete_old(c, before.unwrap_or(now), BATCH)?,
                ])
            });
            let Some(swept) = swept.await? else {
                return Ok(all);
            };
            all += swept.iter().sum::<usize>();
            if swept.into_iter().all(is_the_last) {
                return Ok(all);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Deletes expired sessions in small transactions; how many went.
    pub async fn clear_sessions(&self) -> Result<usize, AuthError> {
        let mut all = 0;
        loop {
            let now = self.now();
            let delete =
                move |c: &mut Connection<'_>| models::session::delete_expired(c, now, BATCH);
            let gone = self.database().write(delete).await?;
            all += gone;
            if is_the_last(gone) {
                let event = Event::of_nobody(Kind::SessionsCleared, format!("{all} sessions"));
                self.note(&Client::command_line(), event).await?;
                return Ok(all);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a batch of so many rows found no more.
fn is_the_last(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows < BATCH)
}
