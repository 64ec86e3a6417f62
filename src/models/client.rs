//! `portcullis_client`: from where each user has logged in before. Users are named by
//! the text of their id.

use diesel::prelude::*;

use super::Timestamp;
use crate::db::{Connection, cached, on};
use crate::schema::portcullis_client as known;

/// Which of these clients the user has logged in from since then.
pub fn find_known(
    conn: &mut Connection<'_>,
    user: &str,
    clients: &[String],
    since: Timestamp,
) -> QueryResult<Vec<String>> {
    let mut found = Vec::new();
    for client in clients {
        let seen = on!(conn, c => known::table
            .find((user, client))
            .filter(known::seen.gt(since))
            .select(known::client)
            .get_result::<String>(c))
        .optional()?;
        found.extend(seen);
    }
    Ok(found)
}

/// Stores that the user logged in from there, and deletes all but the user's latest
/// `most` clients.
pub fn store(
    conn: &mut Connection<'_>,
    user: &str,
    client: &str,
    now: Timestamp,
    most: i64,
) -> QueryResult<()> {
    let seen_before = on!(conn, c => cached(diesel::update(known::table.find((user, client)))
        .set(known::seen.eq(now)))
        .execute(c))?;
    if seen_before > 0 {
        return Ok(());
    }
    on!(conn, c => diesel::insert_into(known::table)
        .values((
            known::user_id.eq(user),
            known::client.eq(client),
            known::seen.eq(now),
        ))
        .on_conflict((known::user_id, known::client))
        .do_nothing()
        .execute(c))?;
    let surplus: Vec<String> = on!(conn, c => known::table
        .filter(known::user_id.eq(user))
        .order(known::seen.desc())
        .select(known::client)
        .offset(most)
        .limit(100)
        .load(c))?;
    on!(conn, c => diesel::delete(known::table)
        .filter(known::user_id.eq(user))
        .filter(known::client.eq_any(&surplus))
        .execute(c))
    .map(drop)
}

/// Deletes the known clients of a user.
pub fn delete_by_user(conn: &mut Connection<'_>, user: &str) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(known::table)
        .filter(known::user_id.eq(user))
        .execute(c))
}

/// Deletes clients not seen since then, `limit` at most; how many went.
pub fn delete_old(conn: &mut Connection<'_>, since: Timestamp, limit: i64) -> QueryResult<usize> {
    let keys: Vec<(String, String)> = on!(conn, c => known::table
        .filter(known::seen.le(since))
        .select((known::user_id, known::client))
        .limit(limit)
        .load(c))?;
    let (users, clients): (Vec<String>, Vec<String>) = keys.into_iter().unzip();
    // One statement: many round trips would take longer than a job may. All rows that
    // it finds are old, those of other pairs too.
    on!(conn, c => diesel::delete(known::table)
        .filter(known::user_id.eq_any(&users))
        .filter(known::client.eq_any(&clients))
        .filter(known::seen.le(since))
        .execute(c))
}
