//! The throttle: no password is checked before its attempt counts in three counters.
//!
//! | counter | takes | then |
//! | --- | --- | --- |
//! | account and client | 5 failures | one try at a time, 1 min apart, doubling to 1 h |
//! | network, all accounts | 50 failures in 15 min | nothing until the 15 min are over |
//! | account, everywhere | 100 failures in a row | nothing until a good login, or an admin |
//!
//! A client that has logged in to the account before has limits of its own: a browser
//! is counted by its cookie wherever it is, a known address has twice the network's
//! limit, and strangers use up 90 of the account's 100, never the last ten.
//!
//! An attempt is pending from before the hashing until its outcome is stored. One that
//! would be over a limit only because others are pending waits for them: first in this
//! process (`gate`), then, for other processes, by asking the database again.

mod accounts;
pub mod failures;
mod gate;
mod reservation;
mod rules;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::prelude::QueryResult;
use tokio::time::{Instant, sleep};

use self::accounts::Accounts;
use self::gate::{Gate, Turn};
use self::rules::{CLIENT_FAILURES, Refusal, Verdict, verdict};
use super::audit::{Audit, Event, Kind};
use super::client::Client;
use super::clock::Clock;
use super::config::Config;
use super::error::AuthError;
use super::passwords::pool::{Busy, HashPool, Ticket};
use crate::db::{Connection, Database};
use crate::models::attempt::{Limits, Slot};
use crate::models::user::User;
use crate::models::{self, Timestamp, UserId, UserTable};

pub use self::reservation::Reservation;

/// Accounts whose failures are kept, whether or not there is such a user. Beyond that,
/// those are deleted that were silent for longest.
const MOST_ACCOUNTS: i64 = 1_000_000;

/// Known clients of a user, and how many days each is kept.
const MOST_CLIENTS: i64 = 20;
const CLIENT_DAYS: i64 = 180;

/// Longest time that an attempt waits for those before it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Blocks whose event is stored already, at most.
const BLOCKS_RECORDED: usize = 10_000;

/// The limits on failed logins; the counters are in the database.
#[derive(Clone)]
pub struct Throttle {
    is_on: bool,
    accounts: Accounts,
    gate: Gate,
    /// The last block of each counter whose event is stored.
    recorded: Arc<Mutex<HashMap<(String, String), i64>>>,
    database: Database,
    table: UserTable,
    audit: Audit,
    clock: Clock,
}

/// How the counters stand for an attempt.
pub(super) struct Assessment {
    slot: Slot,
    limits: Limits,
    verdict: Verdict,
}

impl Throttle {
    pub(super) fn new(
        config: &Config,
        database: Database,
        table: UserTable,
        audit: Audit,
        clock: Clock,
    ) -> Self {
        Self {
            is_on: config.throttle,
            accounts: Accounts::new(&config.secret_keys),
            gate: Gate::new(CLIENT_FAILURES.unsigned_abs()),
            recorded: Arc::default(),
            database,
            table,
            audit,
            clock,
        }
    }

    /// Reads the counters of an attempt; `None` while the throttle is off.
    pub(super) fn assess(
        &self,
        conn: &mut Connection<'_>,
        user: Option<&User>,
        name: Option<&str>,
        client: &Client,
    ) -> QueryResult<Option<Assessment>> {
        if !self.is_on {
            return Ok(None);
        }
        let network = client.network();
        let device = client.device_digest();
        let names: Vec<String> = device.iter().chain([&network]).cloned().collect();
        // An unknown name asks too, so that it costs the same.
        let id = user.map(|user| user.id.to_string()).unwrap_or_default();
        let known = models::client::find_known(conn, &id, &names, self.clients_since())?;
        let now = self.clock.millis();
        let limits = rules::limits(now, !known.is_empty());
        let slot = Slot {
            account: self.accounts.name(user, name),
            client: device
                .filter(|device| known.contains(device))
                .unwrap_or_else(|| network.clone()),
            network,
        };
        let rows = models::attempt::find(conn, &slot)?;
        let verdict = verdict(&rows, &limits, now);
        Ok(Some(Assessment {
            slot,
            limits,
            verdict,
        }))
    }

    /// Makes the attempt pending. An attempt that has to wait gives up its ticket for
    /// the hashing meanwhile. [`AuthError::Throttled`] if a limit is reached,
    /// [`AuthError::Busy`] if those before it took too long, or there is no ticket.
    pub(super) async fn reserve(
        &self,
        assessment: &Assessment,
        user: Option<&User>,
        client: &Client,
        ticket: Ticket,
        pool: &HashPool,
    ) -> Result<(Ticket, Reservation), AuthError> {
        let Assessment { slot, limits, .. } = assessment;
        if let Verdict::Refused(refusal) = &assessment.verdict {
            return Err(self.refuse(user, refusal, client).await?);
        }
        let deadline = Instant::now() + LONGEST_WAIT;
        let (turn, mut ticket) = match self.gate.try_enter(slot) {
            Some(turn) => (turn, ticket),
            None => {
                drop(ticket);
                let turn = self.gate.enter(slot, deadline).await?;
                (turn, pool.reserve(&client.network())?)
            }
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_reserve(slot, limits).await? {
                Verdict::Free => return Ok((ticket, self.reservation(client, slot, turn))),
                Verdict::Refused(refusal) => {
                    return Err(self.refuse(user, &refusal, client).await?);
                }
                Verdict::Wait if Instant::now() + pause > deadline => return Err(Busy.into()),
                Verdict::Wait => {
                    drop(ticket);
                    sleep(pause).await;
                    ticket = pool.reserve(&client.network())?;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_reserve(&self, slot: &Slot, limits: &Limits) -> Result<Verdict, AuthError> {
        let (slot, limits, now) = (slot.clone(), *limits, self.clock.millis());
        // Unsynced: nothing has been answered yet, and the outcome is synced.
        let reserved = self.database.write_unsynced(move |c| {
            if models::attempt::reserve(c, &slot, &limits, now)? {
                return Ok(Verdict::Free);
            }
            let rows = models::attempt::find(c, &slot)?;
            Ok(match verdict(&rows, &limits, now) {
                // An attempt ended in between.
                Verdict::Free => Verdict::Wait,
                verdict => verdict,
            })
        });
        Ok(reserved.await?)
    }

    fn reservation(&self, client: &Client, slot: &Slot, turn: Turn) -> Reservation {
        let (audit, clock) = (self.audit.clone(), self.clock.clone());
        Reservation::new(audit, clock, client.clone(), slot.clone(), turn)
    }

    /// Records a refusal, and gives the error for it.
    async fn refuse(
        &self,
        user: Option<&User>,
        refusal: &Refusal,
        client: &Client,
    ) -> Result<AuthError, AuthError> {
        let event = match user {
            Some(user) => Event::of(Kind::Throttled, user, refusal.detail()),
            None => Event::without_user(Kind::Throttled, refusal.detail()),
        };
        if self.is_new(refusal) {
            self.audit.record(client, event).await?;
        } else {
            event.log(client);
        }
        let wait = refusal.wait(self.clock.millis());
        Ok(AuthError::Throttled { wait })
    }

    /// Whether this is a block's first refusal: the table gets one row, the log all.
    fn is_new(&self, refusal: &Refusal) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.len() >= BLOCKS_RECORDED {
            recorded.clear();
        }
        let key = (refusal.account.clone(), refusal.client.clone());
        recorded.insert(key, refusal.block) != Some(refusal.block)
    }

    /// Stores a failed attempt, with its event.
    pub(super) async fn fail(
        &self,
        reservation: Option<Reservation>,
        event: Event,
        client: &Client,
    ) -> Result<(), AuthError> {
        let slot = reservation.as_ref().map(|taken| taken.slot().clone());
        let now = self.clock.millis();
        self.audit
            .write(client, move |c, events| {
                events.push(event);
                slot.map_or(Ok(()), |slot| reservation::fail(c, &slot, now))
            })
            .await?;
        if let Some(taken) = reservation {
            taken.settled();
        }
        Ok(())
    }

    /// Ends the attempt of a good login, and stores the client as known.
    pub(super) fn succeed(
        &self,
        conn: &mut Connection<'_>,
        slot: &Slot,
        user: &UserId,
        client: &Client,
    ) -> QueryResult<()> {
        models::attempt::succeed(conn, slot)?;
        let (user, now) = (user.to_string(), self.clock.timestamp());
        for name in client.device_digest().into_iter().chain([client.network()]) {
            models::client::store(conn, &user, &name, now, MOST_CLIENTS)?;
        }
        Ok(())
    }

    /// Deletes expired counters, `limit` at most; how many went.
    pub(super) fn delete_expired(&self, c: &mut Connection<'_>, limit: i64) -> QueryResult<usize> {
        models::attempt::delete_expired(c, self.clock.millis(), limit)
    }

    /// Deletes counters of accounts beyond [`MOST_ACCOUNTS`], `limit` at most.
    pub(super) fn delete_surplus(&self, c: &mut Connection<'_>, limit: i64) -> QueryResult<usize> {
        models::attempt::delete_surplus(c, MOST_ACCOUNTS, self.clock.millis(), limit)
    }

    /// Deletes clients that were not seen for long, `limit` at most.
    pub(super) fn delete_old_clients(
        &self,
        c: &mut Connection<'_>,
        limit: i64,
    ) -> QueryResult<usize> {
        models::client::delete_old(c, self.clients_since(), limit)
    }

    fn clients_since(&self) -> Timestamp {
        let now = self.clock.now();
        let days = chrono::TimeDelta::days(CLIENT_DAYS);
        Timestamp::new(now.checked_sub_signed(days).unwrap_or(now))
    }
}
