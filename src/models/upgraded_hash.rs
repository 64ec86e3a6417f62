//! `portcullis_upgraded_hash`: which session hashes a login has replaced by upgrading a
//! password hash.

use diesel::prelude::*;

use super::Timestamp;
use crate::db::{Connection, on, readable};
use crate::schema::portcullis_upgraded_hash as upgraded;

/// A replaced hash, by digests.
pub struct UpgradedHash<'a> {
    /// The text of the user's id.
    pub user: &'a str,
    /// What sessions from before the upgrade hold.
    pub old: &'a str,
    /// What sessions hold since then.
    pub new: &'a str,
}

/// Stores that one hash has replaced another, and those that that one had replaced.
pub fn store(
    conn: &mut Connection<'_>,
    hash: &UpgradedHash<'_>,
    forget_at: Timestamp,
) -> QueryResult<()> {
    on!(conn, c => diesel::update(upgraded::table)
        .filter(upgraded::user_id.eq(hash.user))
        .filter(upgraded::new_hash.eq(hash.old))
        .set(upgraded::new_hash.eq(hash.new))
        .execute(c))?;
    on!(conn, c => diesel::insert_into(upgraded::table)
        .values((
            upgraded::user_id.eq(hash.user),
            upgraded::old_hash.eq(hash.old),
            upgraded::new_hash.eq(hash.new),
            upgraded::forget_at.eq(forget_at),
        ))
        .on_conflict((upgraded::user_id, upgraded::old_hash))
        .do_update()
        .set((
            upgraded::new_hash.eq(hash.new),
            upgraded::forget_at.eq(forget_at),
        ))
        .execute(c))
    .map(drop)
}

/// Whether the new hash has replaced the old one.
pub fn exists(conn: &mut Connection<'_>, hash: &UpgradedHash<'_>) -> QueryResult<bool> {
    let found = readable(on!(conn, c => upgraded::table
        .filter(upgraded::user_id.eq(hash.user))
        .filter(upgraded::old_hash.eq(hash.old))
        .filter(upgraded::new_hash.eq(hash.new))
        .select(upgraded::user_id)
        .get_result::<String>(c)))?;
    Ok(found.is_some())
}

/// Deletes those that are due, `limit` at most; how many went.
pub fn delete_old(conn: &mut Connection<'_>, now: Timestamp, limit: i64) -> QueryResult<usize> {
    let keys: Vec<(String, String)> = on!(conn, c => upgraded::table
        .filter(upgraded::forget_at.le(now))
        .select((upgraded::user_id, upgraded::old_hash))
        .limit(limit)
        .load(c))?;
    let (users, hashes): (Vec<String>, Vec<String>) = keys.into_iter().unzip();
    on!(conn, c => diesel::delete(upgraded::table)
        .filter(upgraded::user_id.eq_any(&users))
        .filter(upgraded::old_hash.eq_any(&hashes))
        .filter(upgraded::forget_at.le(now))
        .execute(c))
}
