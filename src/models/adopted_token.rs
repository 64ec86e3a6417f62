//! `portcullis_adopted_token`: the tokens that Django made, encrypted, by the row key of
//! `authtoken_token`.

use diesel::prelude::*;

use crate::db::{Connection, on, readable};
use crate::schema::{authtoken_token, portcullis_adopted_token as adopted};

/// Stores the encrypted token of a row.
pub fn store(conn: &mut Connection<'_>, key: &str, encrypted: &str) -> QueryResult<()> {
    on!(conn, c => diesel::insert_into(adopted::table)
        .values((adopted::key.eq(key), adopted::encrypted.eq(encrypted)))
        .on_conflict(adopted::key)
        .do_update()
        .set(adopted::encrypted.eq(encrypted))
        .execute(c))
    .map(drop)
}

/// The encrypted token of a row.
pub fn find(conn: &mut Connection<'_>, key: &str) -> QueryResult<Option<String>> {
    readable(on!(conn, c => adopted::table
        .filter(adopted::key.eq(key))
        .select(adopted::encrypted)
        .get_result(c)))
}

/// Deletes that of a row.
pub fn delete(conn: &mut Connection<'_>, key: &str) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(adopted::table)
        .filter(adopted::key.eq(key))
        .execute(c))
}

/// Deletes those whose token is gone, `limit` at most; how many went.
pub fn delete_orphans(conn: &mut Connection<'_>, limit: i64) -> QueryResult<usize> {
    let keys: Vec<String> = on!(conn, c => adopted::table
        .left_join(authtoken_token::table.on(authtoken_token::key.eq(adopted::key)))
        .filter(authtoken_token::key.is_null())
        .select(adopted::key)
        .limit(limit)
        .load(c))?;
    on!(conn, c => diesel::delete(adopted::table)
        .filter(adopted::key.eq_any(&keys))
        .execute(c))
}
