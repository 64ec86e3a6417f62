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
    /// What sessions from before the upgrade hold, under any secret key.
    pub old: &'a [String],
    /// What sessions hold since then, the one under the current key first.
    pub new: &'a [String],
}

/// Stores that one hash has replaced another, and those that that one had replaced.
pub fn store(
    conn: &mut Connection<'_>,
    hash: &UpgradedHash<'_>,
    forget_at: Timestamp,
) -> QueryResult<()> {
    let Some(new) = hash.new.iter().next() else {
        return Ok(());
    };
    on!(conn, c => diesel::update(upgraded::table)
        .filter(upgraded::user_id.eq(hash.user))
        .filter(upgraded::new_hash.eq_any(hash.old))
        .set(upgraded::new_hash.eq(new))
        .execute(c))?;
    for old in hash.old {
        on!(conn, c => diesel::insert_into(upgraded::table)
            .values((
                upgraded::user_id.eq(hash.user),
                upgraded::old_hash.eq(old),
                upgraded::new_hash.eq(new),
                upgraded::forget_at.eq(forget_at),
            ))
            .on_conflict((upgraded::user_id, upgraded::old_hash))
            .do_update()
            .set((upgraded::new_hash.eq(new), upgraded::forget_at.eq(forget_at)))
            .execute(c))?;
    }
    Ok(())
}

/// Whether the new hash has replaced the old one.
pub fn exists(conn: &mut Connection<'_>, hash: &UpgradedHash<'_>) -> QueryResult<bool> {
    let found = readable(on!(conn, c => upgraded::table
        .filter(upgraded::user_id.eq(hash.user))
        .filter(upgraded::old_hash.eq_any(hash.old))
        .filter(upgraded::new_hash.eq_any(hash.new))
        .select(upgraded::user_id)
        .load::<String>(c)))?;
    Ok(found.is_some_and(|found| !found.is_empty()))
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
