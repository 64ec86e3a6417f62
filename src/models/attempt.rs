//! `portcullis_attempt`: how many logins have failed, and how many are being checked
//! right now.
//!
//! A row counts for an account and a client. With an empty client it counts for the
//! account everywhere, with an empty account for the client's network and every
//! account. Times are milliseconds since 1970.
//!
//! The file is long because all that changes the counters must agree with the one
//! statement that makes the throttle exact. Every transaction touches rows in one order
//! (network, account, account and client), so that no two wait for each other.

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use sha2::{Digest, Sha256};

use super::UserId;
use crate::db::{Connection, cached, on};
use crate::schema::portcullis_attempt as attempt;

/// An attempt that is pending for so long is a failure: the process that held it died.
const PENDING_MILLIS: i64 = 120_000;

/// The width of the column.
const MAX_ACCOUNT: usize = 64;

/// The account of a user: the text of the id, or a digest of one that is too long.
pub fn account_of(user: &UserId) -> String {
    let account = user.to_string();
    if account.len() <= MAX_ACCOUNT {
        return account;
    }
    format!("{:x}", Sha256::digest(account.as_bytes()))
}

/// The limit of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Failures and pending attempts that the row takes.
    pub failures: i64,
    /// When a row that is made now expires; `i64::MAX` for never.
    pub forget_at: i64,
}

/// The three rows that one attempt counts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The account.
    pub account: String,
    /// The client as this account knows it.
    pub client: String,
    /// The client's network.
    pub network: String,
}

impl Slot {
    /// The keys of the rows, in the order in which they are touched.
    fn keys(&self) -> [(&str, &str); 3] {
        [
            ("", self.network.as_str()),
            (self.account.as_str(), ""),
            (self.account.as_str(), self.client.as_str()),
        ]
    }
}

/// The limits of a [`Slot`]'s rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The network, over all accounts.
    pub network: Limit,
    /// The account, from everywhere.
    pub account: Limit,
    /// The account from this client: once it is reached, one attempt at a time is let
    /// in whenever the row is not blocked.
    pub client: Limit,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = attempt)]
pub struct Attempt {
    /// The account; empty for all of them.
    pub account: String,
    /// The client; empty for all of them.
    pub client: String,
    /// Logins that failed.
    pub failures: i64,
    /// Attempts that are being checked.
    pub pending: i64,
    /// Pending attempts become failures then.
    pub pending_until: i64,
    /// No attempt is allowed before then.
    pub blocked_until: i64,
    /// When the row expires.
    pub forget_at: i64,
}

impl Attempt {
    /// Pending attempts at that time.
    pub fn pending_at(&self, now: i64) -> i64 {
        if self.pending_until <= now {
            0
        } else {
            self.pending
        }
    }

    /// Failures that count at that time.
    pub fn failures_at(&self, now: i64) -> i64 {
        let counted = if self.forget_at <= now {
            0
        } else {
            self.failures
        };
        counted + self.pending - self.pending_at(now)
    }

    /// How long no attempt is allowed; 0 if one is.
    pub fn blocked_for(&self, now: i64) -> i64 {
        if self.forget_at <= now {
            0
        } else {
            (self.blocked_until - now).max(0)
        }
    }
}

/// A macro, since Diesel has no name for the type.
macro_rules! one_less_pending {
    () => {
        attempt::pending.eq(case_when(attempt::pending.gt(0), attempt::pending - 1).otherwise(0))
    };
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = Text)]
    client: String,
}

/// The parameters are numbered in the order of their appearance, as SQLite numbers
/// names.
const RESERVE: &str = "
    INSERT INTO portcullis_attempt AS a
        (account, client, failures, pending, pending_until, blocked_until, forget_at)
    VALUES
        ('', $1, 0, 1, $2, 0, $3),
        ($4, '', 0, 1, $2, 0, $5),
        ($4, $6, 0, 1, $2, 0, $7)
    ON CONFLICT (account, client) DO UPDATE SET
        failures = CASE WHEN a.forget_at <= $8 THEN 0 ELSE a.failures END
                 + CASE WHEN a.pending_until <= $8 THEN a.pending ELSE 0 END,
        pending = CASE WHEN a.pending_until <= $8 THEN 0 ELSE a.pending END + 1,
        pending_until = excluded.pending_until,
        blocked_until = CASE WHEN a.forget_at <= $8 THEN 0 ELSE a.blocked_until END,
        forget_at = CASE WHEN a.forget_at <= $8 THEN excluded.forget_at ELSE a.forget_at END
    WHERE (a.blocked_until <= $8 OR a.forget_at <= $8)
      AND (CASE WHEN a.forget_at <= $8 THEN 0 ELSE a.failures END + a.pending
             < CASE WHEN a.account = '' THEN $9 WHEN a.client = '' THEN $10 ELSE $11 END
           OR (a.account <> '' AND a.client <> ''
               AND (a.pending = 0 OR a.pending_until <= $8)))
    RETURNING account, client";

/// Counts a pending attempt in each of the three rows, or in none. One statement, so
/// that it is exact under concurrency: a row only changes while it is under its limit.
pub fn reserve(
    conn: &mut Connection<'_>,
    slot: &Slot,
    limits: &Limits,
    now: i64,
) -> QueryResult<bool> {
    let reserved: Vec<Key> = on!(conn, c => cached(diesel::sql_query(RESERVE)
        .bind::<Text, _>(&slot.network)
        .bind::<BigInt, _>(now + PENDING_MILLIS)
        .bind::<BigInt, _>(limits.network.forget_at)
        .bind::<Text, _>(&slot.account)
        .bind::<BigInt, _>(limits.account.forget_at)
        .bind::<Text, _>(&slot.client)
        .bind::<BigInt, _>(limits.client.forget_at)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(limits.network.failures)
        .bind::<BigInt, _>(limits.account.failures)
        .bind::<BigInt, _>(limits.client.failures))
        .load(c))?;
    if reserved.len() == slot.keys().len() {
        return Ok(true);
    }
    for key in &reserved {
        on!(conn, c => diesel::update(attempt::table.find((&key.account, &key.client)))
            .set(one_less_pending!())
            .execute(c))?;
    }
    Ok(false)
}

/// Takes back an attempt that was not checked.
pub fn release(conn: &mut Connection<'_>, slot: &Slot) -> QueryResult<()> {
    let mut keys = slot.keys().into_iter();
    keys.try_for_each(|key| settle(conn, key, false))
}

/// Turns a pending attempt into a failure; returns the three rows.
pub fn fail(
    conn: &mut Connection<'_>,
    slot: &Slot,
    client_forget_at: i64,
) -> QueryResult<Vec<Attempt>> {
    let mut rows = Vec::with_capacity(3);
    for key in slot.keys() {
        let is_client = !key.0.is_empty() && !key.1.is_empty();
        let row = on!(conn, c => cached(diesel::update(attempt::table.find(key))
            .set((
                one_less_pending!(),
                attempt::failures.eq(attempt::failures + 1),
                is_client.then_some(attempt::forget_at.eq(client_forget_at)),
            ))
            .returning(Attempt::as_returning()))
            .get_result(c))
        .optional()?;
        rows.extend(row);
    }
    Ok(rows)
}

/// Ends the attempt of a good login, and clears the failures before it: for the account
/// and for this client, but not for the network, where the logins of others failed.
pub fn succeed(conn: &mut Connection<'_>, slot: &Slot) -> QueryResult<()> {
    let mut keys = slot.keys().into_iter();
    keys.try_for_each(|key| settle(conn, key, !key.0.is_empty()))
}

/// Ends one pending attempt, and may clear the failures. Rows without failures are
/// deleted: most people never mistype.
fn settle(conn: &mut Connection<'_>, key: (&str, &str), forgives: bool) -> QueryResult<()> {
    // Mostly it is the only pending attempt, and this is all.
    if delete_with_at_most(conn, key, 1, forgives)? > 0 {
        return Ok(());
    }
    let forgiven = (attempt::failures.eq(0), attempt::blocked_until.eq(0));
    let left: Option<i64> = on!(conn, c => cached(diesel::update(attempt::table.find(key))
        .set((one_less_pending!(), forgives.then_some(forgiven)))
        .returning(attempt::pending))
        .get_result(c))
    .optional()?;
    if left == Some(0) {
        // It has failures that count, or others ended in between.
        delete_with_at_most(conn, key, 0, forgives)?;
    }
    Ok(())
}

/// Deletes a row with at most so many pending attempts, unless it has failures that
/// count.
fn delete_with_at_most(
    conn: &mut Connection<'_>,
    key: (&str, &str),
    pending: i64,
    forgives: bool,
) -> QueryResult<usize> {
    let most_failures = if forgives { i64::MAX } else { 0 };
    on!(conn, c => diesel::delete(attempt::table.find(key))
        .filter(attempt::pending.le(pending))
        .filter(attempt::failures.le(most_failures))
        .execute(c))
}

/// The rows of a slot that exist.
pub fn find(conn: &mut Connection<'_>, slot: &Slot) -> QueryResult<Vec<Attempt>> {
    let mut rows = Vec::with_capacity(3);
    for key in slot.keys() {
        let row = on!(conn, c => attempt::table
            .find(key)
            .select(Attempt::as_select())
            .get_result(c))
        .optional()?;
        rows.extend(row);
    }
    Ok(rows)
}

/// Blocks attempts in that row until then.
pub fn block(conn: &mut Connection<'_>, row: &Attempt, blocked_until: i64) -> QueryResult<()> {
    on!(conn, c => diesel::update(attempt::table.find((&row.account, &row.client)))
        .set(attempt::blocked_until.eq(blocked_until))
        .execute(c))
    .map(drop)
}

/// Some rows, those with the most failures first.
pub fn find_worst(conn: &mut Connection<'_>, limit: i64) -> QueryResult<Vec<Attempt>> {
    on!(conn, c => attempt::table
        .filter(attempt::failures.gt(0))
        .order((attempt::failures.desc(), attempt::account, attempt::client))
        .select(Attempt::as_select())
        .limit(limit)
        .load(c))
}

/// Deletes every row of an account; how many went.
pub fn delete_by_account(conn: &mut Connection<'_>, account: &str) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(attempt::table)
        .filter(attempt::account.eq(account))
        .execute(c))
}

/// Deletes every row of a client or a network; how many went.
pub fn delete_by_client(conn: &mut Connection<'_>, client: &str) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(attempt::table)
        .filter(attempt::client.eq(client))
        .execute(c))
}

/// Deletes every row; how many went.
pub fn delete_all(conn: &mut Connection<'_>) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(attempt::table).execute(c))
}

/// Deletes expired rows, `limit` at most; how many went.
pub fn delete_expired(conn: &mut Connection<'_>, now: i64, limit: i64) -> QueryResult<usize> {
    let expired = attempt::table
        .filter(attempt::forget_at.le(now))
        .filter(attempt::pending_until.le(now))
        .select((attempt::account, attempt::client))
        .limit(limit);
    let keys = match conn {
        Connection::Sqlite(c) => expired.load(&mut **c),
        // Without waiting, so that no two transactions wait for each other.
        Connection::Postgres(c) => expired.for_update().skip_locked().load(&mut **c),
    }?;
    delete_keys(conn, &keys)
}

/// Deletes the accounts' rows that were unused for longest, if there are more than
/// `most` of them, `limit` at most; how many went.
pub fn delete_surplus(
    conn: &mut Connection<'_>,
    most: i64,
    now: i64,
    limit: i64,
) -> QueryResult<usize> {
    let surplus = on!(conn, c => attempt::table
        .filter(attempt::client.eq(""))
        .count()
        .get_result::<i64>(c))?
        - most;
    if surplus <= 0 {
        return Ok(0);
    }
    let silent = attempt::table
        .filter(attempt::client.eq(""))
        .filter(attempt::pending_until.le(now))
        .order(attempt::pending_until)
        .select((attempt::account, attempt::client))
        .limit(surplus.min(limit));
    let keys = match conn {
        Connection::Sqlite(c) => silent.load(&mut **c),
        Connection::Postgres(c) => silent.for_update().skip_locked().load(&mut **c),
    }?;
    delete_keys(conn, &keys)
}

/// One statement on PostgreSQL: many round trips would take longer than a job may.
fn delete_keys(conn: &mut Connection<'_>, keys: &[(String, String)]) -> QueryResult<usize> {
    match conn {
        Connection::Sqlite(c) => {
            for (account, client) in keys {
                diesel::delete(attempt::table.find((account, client))).execute(&mut **c)?;
            }
            Ok(keys.len())
        }
        Connection::Postgres(c) => {
            let (accounts, clients): (Vec<&str>, Vec<&str>) =
                keys.iter().map(|(a, c)| (a.as_str(), c.as_str())).unzip();
            diesel::sql_query(
                "DELETE FROM portcullis_attempt a USING unnest($1, $2) AS k (account, client)
                 WHERE a.account = k.account AND a.client = k.client",
            )
            .bind::<Array<Text>, _>(accounts)
            .bind::<Array<Text>, _>(clients)
            .execute(&mut **c)
        }
    }
}
