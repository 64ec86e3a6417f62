//! `portcullis_event`: the audit log.

use diesel::prelude::*;

use super::Timestamp;
use crate::db::{Connection, on};
use crate::schema::portcullis_event;

/// A row to insert.
#[derive(Insertable)]
#[diesel(table_name = portcullis_event)]
pub struct NewEvent<'a> {
    /// When.
    pub at: Timestamp,
    /// What, in one word.
    pub kind: &'a str,
    /// The text of the id of the user whom it concerns, if any.
    pub user_id: Option<&'a str>,
    /// The user's name at that time; may be empty.
    pub username: &'a str,
    /// From where: an IP address; empty if it was on the machine itself.
    pub address: &'a str,
    /// By which entry point: a path, or the command line.
    #[diesel(column_name = door)]
    pub entry_point: &'a str,
    /// The request, as in the log; empty if there was none.
    pub request_id: &'a str,
    /// The rest, in a few words.
    pub detail: &'a str,
}

/// Adds an event.
pub fn create(conn: &mut Connection<'_>, event: &NewEvent<'_>) -> QueryResult<()> {
    on!(conn, c => diesel::insert_into(portcullis_event::table)
        .values(event)
        .execute(c))
    .map(drop)
}

/// Deletes events from before that time, `limit` at most; how many went.
pub fn delete_old(conn: &mut Connection<'_>, before: Timestamp, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = on!(conn, c => portcullis_event::table
        .filter(portcullis_event::at.lt(before))
        .order(portcullis_event::at)
        .select(portcullis_event::id)
        .limit(limit)
        .load(c))?;
    on!(conn, c => diesel::delete(portcullis_event::table)
        .filter(portcullis_event::id.eq_any(&ids))
        .execute(c))
}
