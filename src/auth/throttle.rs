//! The throttle: no password is looked at before its attempt has a place in
//! three counters.
//!
//! | counter | takes | then |
//! | --- | --- | --- |
//! | account and client | 5 failures | one try at a time, 1 min apart, doubling to 1 h |
//! | network, all accounts | 50 failures in 15 min | nothing until the 15 min are over |
//! | account, everywhere | 100 failures in a row | nothing until a good login, or an admin |
//!
//! A client that has logged in to the account before has a lane of its own: a
//! browser by its cookie counts for itself wherever it is, an address that is
//! known has twice the network's room, and strangers use up 90 of the
//! account's 100, never the last ten.
//!
//! A place is taken before the hashing and settled after it. What is over the
//! limit only because others are still being hashed waits for them: first in
//! line in this process (`throttle::gate`), then for other processes by asking again.

mod gate;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::prelude::QueryResult;
use django_auth::SecretKeys;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::time::{Instant, sleep};
use unicode_normalization::UnicodeNormalization;

use self::gate::{Gate, Turn};
use super::client::network_of;
use super::event::{Event, Kind};
use super::passwords::pool::{Busy, Ticket};
use super::{Auth, AuthError, Client};
use crate::db::Connection;
use crate::models::attempt::{Attempt, Place, Room, Rooms};
use crate::models::user::User;
use crate::models::{self, Timestamp, UserId};

const CLIENT_FAILURES: i64 = 5;
const NETWORK_FAILURES: i64 = 50;
const ACCOUNT_FAILURES: i64 = 100;
/// What strangers leave to the clients that an account knows.
const LANES: i64 = 10;

const MINUTE: i64 = 60_000;
const FIRST_BLOCK: i64 = MINUTE;
const LONGEST_BLOCK: i64 = 60 * MINUTE;
const NETWORK_WINDOW: i64 = 15 * MINUTE;
/// A client's failures are forgotten after a day without another.
const CLIENT_MEMORY: i64 = 24 * 60 * MINUTE;
/// Accounts whose failures are kept, whether or not there is such a user. Only
/// beyond that many are those forgotten that were silent for longest.
const ACCOUNTS_KEPT: i64 = 1_000_000;

/// Clients that are kept of a user, and for how many days.
const CLIENTS_KEPT: i64 = 20;
const CLIENT_DAYS: i64 = 180;

/// Longest time that an attempt waits for those before it.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Blocks whose event is stored already, at most.
const BLOCKS_NOTED: usize = 10_000;

/// Keeps this use of the secret key apart from every other.
const NAME_PURPOSE: &[u8] = b"portcullis.throttle.name";

type HmacSha256 = Hmac<Sha256>;

/// What the throttle keeps in the process; the counters are in the database.
pub(super) struct Throttle {
    is_on: bool,
    name_key: Option<HmacSha256>,
    gate: Gate,
    noted: Mutex<HashMap<(String, String), i64>>,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// There is room.
    Free,
    /// There may be room once those are settled that are being hashed.
    Wait,
    /// There is none.
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    account: String,
    client: String,
    /// When to try again, in milliseconds since 1970.
    until: i64,
    /// The same for every refusal of one block.
    block: i64,
}

/// A place that is taken, from the reservation to its outcome.
///
/// Dropped before that, as when the client hangs up, it counts as a failure if
/// the password was being looked at, and is given back if it was not.
pub(super) struct Reservation {
    auth: Auth,
    client: Client,
    place: Place,
    is_failure: Arc<AtomicBool>,
    is_settled: bool,
    _turn: Turn,
}

/// What one look into the database gives an attempt.
pub(super) struct Candidate {
    pub(super) user: Option<User>,
    attempt: Option<(Place, Rooms, Verdict)>,
}

impl Throttle {
    pub(super) fn new(is_on: bool, secrets: &SecretKeys) -> Self {
        Self {
            is_on,
            name_key: name_key(secrets),
            gate: Gate::new(CLIENT_FAILURES.unsigned_abs()),
            noted: Mutex::default(),
        }
    }

    /// The account, as the counters know it: the id of the user, or what a name
    /// that is nobody's comes to. People type their password there, so the name
    /// itself is not kept.
    fn account(&self, user: Option<&User>, name: Option<&str>) -> String {
        match user {
            Some(user) => user.id.to_string(),
            None => format!("~{}", self.digest(name.unwrap_or_default())),
        }
    }

    /// Whatever a person would take for the same name counts as one.
    fn digest(&self, name: &str) -> String {
        // The length comes first: normalising a long text is slow.
        let short: String = name.chars().take(200).collect();
        let normal: String = short.trim().nfkc().flat_map(char::to_lowercase).collect();
        let Some(mut mac) = self.name_key.clone() else {
            return String::new();
        };
        mac.update(normal.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    /// Whether this is the first refusal of a block: the table of events gets
    /// one row for each, the log gets them all.
    fn is_new(&self, refusal: &Refusal) -> bool {
        let mut noted = lock(&self.noted);
        if noted.len() >= BLOCKS_NOTED {
            noted.clear();
        }
        let key = (refusal.account.clone(), refusal.client.clone());
        noted.insert(key, refusal.block) != Some(refusal.block)
    }
}

fn name_key(secrets: &SecretKeys) -> Option<HmacSha256> {
    let mut derive = HmacSha256::new_from_slice(secrets.current().expose_bytes()).ok()?;
    derive.update(NAME_PURPOSE);
    HmacSha256::new_from_slice(&derive.finalize().into_bytes()).ok()
}

impl Auth {
    fn now_millis(&self) -> i64 {
        self.0.clock.now().timestamp_millis()
    }

    /// Finds the user of that name, and how things stand with the counters.
    pub(super) async fn find_candidate(
        &self,
        name: Option<&str>,
        client: &Client,
    ) -> Result<Candidate, AuthError> {
        let (auth, name, client) = (self.clone(), name.map(str::to_owned), client.clone());
        let candidate = self
            .database()
            .read(move |c| {
                let user = match &name {
                    Some(name) => models::user::find_by_username(c, name)?,
                    None => None,
                };
                let attempt = match auth.0.throttle.is_on {
                    true => Some(auth.find_attempt(c, user.as_ref(), name.as_deref(), &client)?),
                    false => None,
                };
                Ok(Candidate { user, attempt })
            })
            .await?;
        Ok(candidate)
    }

    fn find_attempt(
        &self,
        connection: &mut Connection<'_>,
        user: Option<&User>,
        name: Option<&str>,
        client: &Client,
    ) -> QueryResult<(Place, Rooms, Verdict)> {
        let network = client.network();
        let device = client.device_digest();
        let names: Vec<String> = device.iter().chain([&network]).cloned().collect();
        // Nobody is asked about too: a name that is not there costs the same.
        let id = user.map_or(UserId(i64::MIN), |user| user.id);
        let known = models::client::find_known(connection, id, &names, self.clients_since())?;
        let now = self.now_millis();
        let rooms = rooms(now, !known.is_empty());
        let place = Place {
            account: self.0.throttle.account(user, name),
            client: device
                .filter(|device| known.contains(device))
                .unwrap_or_else(|| network.clone()),
            network,
        };
        let rows = models::attempt::find(connection, &place)?;
        let verdict = verdict(&rows, &rooms, now);
        Ok((place, rooms, verdict))
    }

    fn clients_since(&self) -> Timestamp {
        let now = self.0.clock.now();
        let days = chrono::TimeDelta::days(CLIENT_DAYS);
        Timestamp::new(now.checked_sub_signed(days).unwrap_or(now))
    }

    /// Takes a place for an attempt; `None` while the throttle is off. Whoever
    /// has to wait for it gives up their ticket for the hashing meanwhile.
    ///
    /// # Errors
    ///
    /// [`AuthError::Throttled`] if there is none, and [`AuthError::Busy`] if
    /// those before it took too long, or there is no other ticket.
    pub(super) async fn reserve(
        &self,
        candidate: &Candidate,
        client: &Client,
        ticket: Ticket,
    ) -> Result<(Ticket, Option<Reservation>), AuthError> {
        let Some((place, rooms, verdict)) = &candidate.attempt else {
            return Ok((ticket, None));
        };
        let user = candidate.user.as_ref();
        if let Verdict::Refused(refusal) = verdict {
            return Err(self.refuse(user, refusal, client).await?);
        }
        let deadline = Instant::now() + PATIENCE;
        let gate = &self.0.throttle.gate;
        let (turn, mut ticket) = match gate.try_enter(place) {
            Some(turn) => (turn, ticket),
            None => {
                drop(ticket);
                let turn = gate.enter(place, deadline).await?;
                (turn, self.0.pool.reserve(&client.network())?)
            }
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_reserve(place, rooms).await? {
                Verdict::Free => {
                    let reservation = Reservation {
                        auth: self.clone(),
                        client: client.clone(),
                        place: place.clone(),
                        is_failure: Arc::default(),
                        is_settled: false,
                        _turn: turn,
                    };
                    return Ok((ticket, Some(reservation)));
                }
                Verdict::Refused(refusal) => {
                    return Err(self.refuse(user, &refusal, client).await?);
                }
                Verdict::Wait if Instant::now() + pause > deadline => return Err(Busy.into()),
                Verdict::Wait => {
                    drop(ticket);
                    sleep(pause).await;
                    ticket = self.0.pool.reserve(&client.network())?;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_reserve(&self, place: &Place, rooms: &Rooms) -> Result<Verdict, AuthError> {
        let (place, rooms, now) = (place.clone(), *rooms, self.now_millis());
        let verdict = self
            .database()
            // Nothing has been answered yet, and the settling is synced.
            .write_unsynced(move |c| {
                if models::attempt::reserve(c, &place, &rooms, now)? {
                    return Ok(Verdict::Free);
                }
                let rows = models::attempt::find(c, &place)?;
                Ok(match verdict(&rows, &rooms, now) {
                    // Somebody was settled in between.
                    Verdict::Free => Verdict::Wait,
                    verdict => verdict,
                })
            })
            .await?;
        Ok(verdict)
    }

    /// Notes a refusal, and says it.
    async fn refuse(
        &self,
        user: Option<&User>,
        refusal: &Refusal,
        client: &Client,
    ) -> Result<AuthError, AuthError> {
        let by = match (refusal.account.as_str(), refusal.client.as_str()) {
            ("", network) => format!("failures of the network {network}"),
            (_, "") => "failures of the account".to_owned(),
            (_, client) => format!("failures of the account from {client}"),
        };
        let event = match user {
            Some(user) => Event::of(Kind::Throttled, user, by),
            None => Event::of_nobody(Kind::Throttled, by),
        };
        if self.0.throttle.is_new(refusal) {
            self.note(client, event).await?;
        } else {
            event.log(client);
        }
        let millis = (refusal.until - self.now_millis()).max(1).unsigned_abs();
        Ok(AuthError::Throttled {
            wait: Duration::from_millis(millis),
        })
    }

    /// Stores a failed attempt, with the event that tells of it.
    pub(super) async fn fail(
        &self,
        reservation: Option<Reservation>,
        event: Event,
        client: &Client,
    ) -> Result<(), AuthError> {
        let place = reservation.as_ref().map(|taken| taken.place.clone());
        let now = self.now_millis();
        self.write_noting(client, move |c, events| {
            events.note(event);
            match place {
                Some(place) => fail(c, &place, now),
                None => Ok(()),
            }
        })
        .await?;
        if let Some(taken) = reservation {
            taken.settled();
        }
        Ok(())
    }

    /// Settles the place of a good login, in the transaction that stores it,
    /// and remembers from where it came.
    pub(super) fn succeed(
        &self,
        connection: &mut Connection<'_>,
        place: &Place,
        user: UserId,
        client: &Client,
    ) -> QueryResult<()> {
        models::attempt::succeed(connection, place)?;
        let now = self.now();
        for name in client.device_digest().into_iter().chain([client.network()]) {
            models::client::remember(connection, user, &name, now, CLIENTS_KEPT)?;
        }
        Ok(())
    }

    /// The accounts and clients with the most failures, for an admin.
    pub async fn find_failures(&self, limit: i64) -> Result<Vec<Failures>, AuthError> {
        let now = self.now_millis();
        let found = self.database().read(move |c| {
            let rows = models::attempt::find_worst(c, limit)?;
            rows.into_iter()
                .filter(|row| row.failures_at(now) > 0)
                .map(|row| failures(c, &row, now))
                .collect()
        });
        Ok(found.await?)
    }

    /// Forgets failures; how many counters that were.
    pub async fn clear_failures(&self, whose: Whose) -> Result<usize, AuthError> {
        self.write_noting(&Client::command_line(), move |c, events| {
            let (deleted, event) = match &whose {
                Whose::User(user) => (
                    models::attempt::delete_by_account(c, &user.id.to_string())?,
                    Event::of(Kind::ThrottleCleared, user, ""),
                ),
                Whose::Network(address) => (
                    models::attempt::delete_by_client(c, &network_of(*address))?,
                    Event::of_nobody(Kind::ThrottleCleared, network_of(*address)),
                ),
                Whose::All => (
                    models::attempt::delete_all(c)?,
                    Event::of_nobody(Kind::ThrottleCleared, "everything"),
                ),
            };
            events.note(event);
            Ok(deleted)
        })
        .await
    }

    /// Deletes counters and clients that count for nothing any more, `limit`
    /// of each at most; how many went.
    pub(super) fn sweep_attempts(
        &self,
        connection: &mut Connection<'_>,
        limit: i64,
    ) -> QueryResult<usize> {
        let now = self.now_millis();
        Ok(models::attempt::delete_forgotten(connection, now, limit)?
            + models::attempt::delete_surplus(connection, ACCOUNTS_KEPT, now, limit)?
            + models::client::delete_old(connection, self.clients_since(), limit)?)
    }
}

/// Whose failures are to be forgotten.
pub enum Whose {
    /// One user's, from everywhere.
    User(User),
    /// Those that came from the network of this address.
    Network(IpAddr),
    /// Everybody's.
    All,
}

/// A counter, as an admin reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// The user's name, `every account`, or what stands for a name that is
    /// nobody's.
    pub account: String,
    /// The network or the browser; `everywhere` for the account as such.
    pub client: String,
    /// How many.
    pub failures: i64,
    /// How long no further attempt is allowed.
    pub blocked_for: Duration,
}

fn failures(connection: &mut Connection<'_>, row: &Attempt, now: i64) -> QueryResult<Failures> {
    let user = match row.account.parse() {
        Ok(id) => models::user::find(connection, UserId(id))?,
        Err(_) => None,
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

impl Reservation {
    /// The place that is taken.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// A mark to set when the password is about to be looked at.
    pub(super) fn failure_mark(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_failure)
    }

    /// The password was right: whatever happens from now on is no failure.
    pub(super) fn forgive(&self) {
        self.is_failure.store(false, Ordering::Release);
    }

    /// Its outcome is stored.
    pub(super) fn settled(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Where nothing runs any more, the place runs out by itself.
        let (false, Ok(runtime)) = (self.is_settled, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (auth, place, client) = (self.auth.clone(), self.place.clone(), self.client.clone());
        let is_failure = self.is_failure.load(Ordering::Acquire);
        runtime.spawn(async move {
            let now = auth.now_millis();
            let settled = auth.write_noting(&client, move |c, events| {
                if is_failure {
                    let hung_up = "the client hung up before the answer";
                    events.note(Event::of_nobody(Kind::LoginFailed, hung_up));
                    fail(c, &place, now)
                } else {
                    models::attempt::release(c, &place)
                }
            });
            if let Err(error) = settled.await {
                tracing::warn!(%error, "an abandoned login was not settled");
            }
        });
    }
}

fn rooms(now: i64, is_known: bool) -> Rooms {
    let (network, lanes) = match is_known {
        true => (2 * NETWORK_FAILURES, 0),
        false => (NETWORK_FAILURES, LANES),
    };
    Rooms {
        network: Room {
            failures: network,
            forget_at: now + NETWORK_WINDOW,
        },
        account: Room {
            failures: ACCOUNT_FAILURES - lanes,
            forget_at: i64::MAX,
        },
        client: Room {
            failures: CLIENT_FAILURES,
            forget_at: now + CLIENT_MEMORY,
        },
    }
}

/// What the rows say, in the words of `reserve`'s own condition.
fn verdict(rows: &[Attempt], rooms: &Rooms, now: i64) -> Verdict {
    let mut verdict = Verdict::Free;
    for row in rows {
        let (failures, pending) = (row.failures_at(now), row.pending_at(now));
        let is_client = !row.account.is_empty() && !row.client.is_empty();
        let (room, retry_at, full) = match (row.account.as_str(), row.client.as_str()) {
            ("", _) => (rooms.network.failures, row.forget_at, row.forget_at),
            (_, "") => (rooms.account.failures, now + LONGEST_BLOCK, failures),
            _ => (rooms.client.failures, now, 0),
        };
        let blocked_for = row.blocked_for(now);
        let (until, block) = if blocked_for > 0 {
            (now + blocked_for, row.blocked_until)
        } else if failures >= room && !is_client {
            (retry_at, full)
        } else {
            let is_free = failures + pending < room || (is_client && pending == 0);
            if !is_free && verdict == Verdict::Free {
                verdict = Verdict::Wait;
            }
            continue;
        };
        let is_longer = match &verdict {
            Verdict::Refused(refusal) => refusal.until < until,
            _ => true,
        };
        if is_longer {
            verdict = Verdict::Refused(Refusal {
                account: row.account.clone(),
                client: row.client.clone(),
                until,
                block,
            });
        }
    }
    verdict
}

/// Counts a failure, and blocks what is full now.
fn fail(connection: &mut Connection<'_>, place: &Place, now: i64) -> QueryResult<()> {
    for row in models::attempt::fail(connection, place, now + CLIENT_MEMORY)? {
        let is_client = !row.account.is_empty() && !row.client.is_empty();
        if is_client && row.failures >= CLIENT_FAILURES {
            models::attempt::block(connection, &row, now + block_after(row.failures))?;
        }
    }
    Ok(())
}

/// 1 min after the fifth failure, doubling with each further one to 1 h.
fn block_after(failures: i64) -> i64 {
    let doublings = u32::try_from(failures - CLIENT_FAILURES).unwrap_or(0);
    FIRST_BLOCK
        .checked_mul(1_i64.checked_shl(doublings.min(30)).unwrap_or(i64::MAX))
        .map_or(LONGEST_BLOCK, |block| block.min(LONGEST_BLOCK))
}

/// Nothing here can be left half done, poisoned or not.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
