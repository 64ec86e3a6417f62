//! A pending attempt, from the reservation to its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::QueryResult;

use super::gate::Turn;
use super::rules::{self, CLIENT_FAILURES, CLIENT_WINDOW};
use crate::auth::audit::{Audit, Event, Kind};
use crate::auth::client::Client;
use crate::auth::clock::Clock;
use crate::db::Connection;
use crate::models;
use crate::models::attempt::Slot;

/// Dropped without an outcome, as when the client hangs up, it counts as a failure if
/// the password was being checked, and is taken back if it was not.
pub struct Reservation {
    audit: Audit,
    clock: Clock,
    client: Client,
    slot: Slot,
    is_failure: Arc<AtomicBool>,
    is_settled: bool,
    _turn: Turn,
}

impl Reservation {
    pub(super) fn new(audit: Audit, clock: Clock, client: Client, slot: Slot, turn: Turn) -> Self {
        Self {
            audit,
            clock,
            client,
            slot,
            is_failure: Arc::default(),
            is_settled: false,
            _turn: turn,
        }
    }

    /// The counters that it is pending in.
    pub(in crate::auth) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// A flag to set when the check of the password begins.
    pub(in crate::auth) fn failure_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_failure)
    }

    /// The password was right: whatever happens from now on is no failure.
    pub(in crate::auth) fn forgive(&self) {
        self.is_failure.store(false, Ordering::Release);
    }

    /// Its outcome is stored.
    pub(in crate::auth) fn settled(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Without a runtime, the pending attempt expires by itself.
        let (false, Ok(runtime)) = (self.is_settled, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (audit, slot, client) = (self.audit.clone(), self.slot.clone(), self.client.clone());
        let is_failure = self.is_failure.load(Ordering::Acquire);
        let now = self.clock.millis();
        runtime.spawn(async move {
            let settled = audit.write(&client, move |c, events| {
                if is_failure {
                    let hung_up = "the client hung up before the answer";
                    events.push(Event::without_user(Kind::LoginFailed, hung_up));
                    fail(c, &slot, now)
                } else {
                    models::attempt::release(c, &slot)
                }
            });
            if let Err(error) = settled.await {
                tracing::warn!(%error, "an abandoned login was not settled");
            }
        });
    }
}

/// Counts a failure, and blocks the client's row if that was one too many.
pub(super) fn fail(conn: &mut Connection<'_>, slot: &Slot, now: i64) -> QueryResult<()> {
    for row in models::attempt::fail(conn, slot, now + CLIENT_WINDOW)? {
        if rules::is_of_client(&row) && row.failures >= CLIENT_FAILURES {
            let until = now + rules::block_after(row.failures);
            models::attempt::block(conn, &row, until)?;
        }
    }
    Ok(())
}
