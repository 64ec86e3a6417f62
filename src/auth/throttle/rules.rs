//! The limits, and what the counters say: pure.

use std::time::Duration;

use crate::models::attempt::{Attempt, Limit, Limits};

pub(super) const CLIENT_FAILURES: i64 = 5;
const NETWORK_FAILURES: i64 = 50;
const ACCOUNT_FAILURES: i64 = 100;
/// What strangers leave to the clients that an account knows.
const RESERVED_FOR_KNOWN: i64 = 10;

const MINUTE: i64 = 60_000;
const FIRST_BLOCK: i64 = MINUTE;
const LONGEST_BLOCK: i64 = 60 * MINUTE;
const NETWORK_WINDOW: i64 = 15 * MINUTE;
/// A client's failures expire after a day without another.
pub(super) const CLIENT_WINDOW: i64 = 24 * 60 * MINUTE;

/// Whether an attempt may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The counters are under their limits.
    Free,
    /// They may be, once the pending attempts are checked.
    Wait,
    /// They are not.
    Refused(Refusal),
}

/// The counter that refuses an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) account: String,
    pub(super) client: String,
    /// When to try again, in milliseconds since 1970.
    pub(super) until: i64,
    /// The same for every refusal of one block.
    pub(super) block: i64,
}

impl Refusal {
    /// How long to wait.
    pub(super) fn wait(&self, now: i64) -> Duration {
        Duration::from_millis((self.until - now).max(1).unsigned_abs())
    }

    /// Which limit was reached, for the audit log.
    pub(super) fn detail(&self) -> String {
        match (self.account.as_str(), self.client.as_str()) {
            ("", network) => format!("failures of the network {network}"),
            (_, "") => "failures of the account".to_owned(),
            (_, client) => format!("failures of the account from {client}"),
        }
    }
}

/// The limits for an attempt now, from a client that the account knows or does not.
pub(super) fn limits(now: i64, is_known: bool) -> Limits {
    let (network, reserved) = match is_known {
        true => (2 * NETWORK_FAILURES, 0),
        false => (NETWORK_FAILURES, RESERVED_FOR_KNOWN),
    };
    let limit = |failures, forget_at| Limit {
        failures,
        forget_at,
    };
    Limits {
        network: limit(network, now + NETWORK_WINDOW),
        account: limit(ACCOUNT_FAILURES - reserved, i64::MAX),
        client: limit(CLIENT_FAILURES, now + CLIENT_WINDOW),
    }
}

/// What the rows say, by the same condition as `models::attempt::reserve`. Of several
/// refusals the longest counts.
pub(super) fn verdict(rows: &[Attempt], limits: &Limits, now: i64) -> Verdict {
    let verdicts: Vec<Verdict> = rows.iter().map(|row| of_row(row, limits, now)).collect();
    // Reversed, since of equals `max_by_key` takes the last, and the first row counts.
    let refusals = verdicts.iter().rev().filter_map(|verdict| match verdict {
        Verdict::Refused(refusal) => Some(refusal),
        _ => None,
    });
    match refusals.max_by_key(|refusal| refusal.until) {
        Some(refusal) => Verdict::Refused(refusal.clone()),
        None if verdicts.contains(&Verdict::Wait) => Verdict::Wait,
        None => Verdict::Free,
    }
}

fn of_row(row: &Attempt, limits: &Limits, now: i64) -> Verdict {
    let (failures, pending) = (row.failures_at(now), row.pending_at(now));
    let is_client = is_of_client(row);
    // When a counter is full, and what tells one block from the next.
    let (limit, retry_at, block) = match (row.account.as_str(), row.client.as_str()) {
        ("", _) => (limits.network.failures, row.forget_at, row.forget_at),
        (_, "") => (limits.account.failures, now + LONGEST_BLOCK, failures),
        _ => (limits.client.failures, now, 0),
    };
    let refused = |until, block| {
        Verdict::Refused(Refusal {
            account: row.account.clone(),
            client: row.client.clone(),
            until,
            block,
        })
    };
    let blocked_for = row.blocked_for(now);
    if blocked_for > 0 {
        refused(now + blocked_for, row.blocked_until)
    } else if failures >= limit && !is_client {
        refused(retry_at, block)
    } else if failures + pending < limit || (is_client && pending == 0) {
        Verdict::Free
    } else {
        Verdict::Wait
    }
}

/// Whether the row counts for one account and one client.
pub(super) fn is_of_client(row: &Attempt) -> bool {
    !row.account.is_empty() && !row.client.is_empty()
}

/// 1 min after the fifth failure, doubling with each further one to 1 h.
pub(super) fn block_after(failures: i64) -> i64 {
    let doublings = u32::try_from(failures - CLIENT_FAILURES).unwrap_or(0);
    (FIRST_BLOCK << doublings.min(30)).min(LONGEST_BLOCK)
}
