//! `authtoken_token`: DRF's one token a user.

use diesel::prelude::*;

use super::user::User;
use super::{Timestamp, UserId, readable};
use crate::db::{Connection, on};
use crate::schema::{accounts_customuser, authtoken_token};

/// A token's row key and its owner. A macro, since it is another type for each
/// backend.
macro_rules! with_user {
    ($key:expr) => {
        authtoken_token::table
            .inner_join(accounts_customuser::table)
            .filter(authtoken_token::key.eq($key))
            .select((authtoken_token::key, User::as_select()))
    };
}

/// The owner of the token with that row key; or else with the other one, if
/// there is another. Tells with which.
///
/// One statement, so that a token that nobody has costs no more than a good one.
pub fn find_user(
    connection: &mut Connection<'_>,
    key: &str,
    or_else: Option<&str>,
) -> QueryResult<Option<(String, User)>> {
    readable(on!(connection, c => match or_else {
        None => with_user!(key).get_result(c),
        Some(other) => with_user!(key).union_all(with_user!(other)).limit(1).get_result(c),
    }))
}

/// The row key of the user's token.
///
/// On PostgreSQL a write locks the row by it, so that a logout which deletes
/// the token waits for a login that is about to answer with it.
pub fn find_key_for_update(
    connection: &mut Connection<'_>,
    user: UserId,
) -> QueryResult<Option<String>> {
    match connection {
        Connection::Sqlite(c) => by_user(user).get_result(&mut **c).optional(),
        Connection::Postgres(c) => by_user(user).for_update().get_result(&mut **c).optional(),
    }
}

/// The row key of the user's token, for showing it.
pub fn find_key(connection: &mut Connection<'_>, user: UserId) -> QueryResult<Option<String>> {
    readable(on!(connection, c => by_user(user).get_result(c)))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn by_user(user: UserId) -> _ {
    authtoken_token::table
        .filter(authtoken_token::user_id.eq(user))
        .select(authtoken_token::key)
}

/// Inserts the user's token; `false` if the user has one by now.
pub fn create(
    connection: &mut Connection<'_>,
    user: UserId,
    key: &str,
    now: Timestamp,
) -> QueryResult<bool> {
    let inserted = on!(connection, c => diesel::insert_into(authtoken_token::table)
        .values((
            authtoken_token::key.eq(key),
            authtoken_token::user_id.eq(user),
            authtoken_token::created.eq(now),
        ))
        .on_conflict(authtoken_token::user_id)
        .do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// Gives a token row another key; `false` if the row is gone.
pub fn replace_key(
    connection: &mut Connection<'_>,
    old: &str,
    new: &str,
    created: Option<Timestamp>,
) -> QueryResult<bool> {
    let updated = on!(connection, c => diesel::update(authtoken_token::table)
        .filter(authtoken_token::key.eq(old))
        .set((
            authtoken_token::key.eq(new),
            created.map(|created| authtoken_token::created.eq(created)),
        ))
        .execute(c))?;
    Ok(updated == 1)
}

/// Deletes the user's token; how many rows went.
pub fn delete_by_user(connection: &mut Connection<'_>, user: UserId) -> QueryResult<usize> {
    on!(connection, c => diesel::delete(authtoken_token::table)
        .filter(authtoken_token::user_id.eq(user))
        .execute(c))
}

/// How many keys stand in clear.
pub fn count_clear(connection: &mut Connection<'_>) -> QueryResult<i64> {
    on!(connection, c => authtoken_token::table
        .filter(authtoken_token::key.not_like("$%"))
        .count()
        .get_result(c))
}

/// Some keys that stand in clear.
pub fn find_clear(connection: &mut Connection<'_>, limit: i64) -> QueryResult<Vec<String>> {
    on!(connection, c => authtoken_token::table
        .filter(authtoken_token::key.not_like("$%"))
        .select(authtoken_token::key)
        .limit(limit)
        .load(c))
}

/// How many tokens belong to users who are not active.
pub fn count_of_inactive(connection: &mut Connection<'_>) -> QueryResult<i64> {
    on!(connection, c => authtoken_token::table
        .inner_join(accounts_customuser::table)
        .filter(accounts_customuser::is_active.eq(false))
        .count()
        .get_result(c))
}
