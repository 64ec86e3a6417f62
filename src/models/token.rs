//! `authtoken_token`: DRF's one token a user.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::user::User;
use super::{DjangoTime, RowKeys, UserId, UserTable};
use crate::db::{Connection, on, readable};
use crate::schema::{accounts_customuser, authtoken_token};

/// A token's row key and its owner. A macro, since the type differs between backends.
macro_rules! with_user {
    (key.$is:ident($key:expr)) => {
        authtoken_token::table
            .inner_join(accounts_customuser::table)
            .filter(authtoken_token::key.$is($key))
            .select((authtoken_token::key, User::as_select()))
    };
}

/// Whose token it is.
#[derive(Clone)]
pub struct Owner {
    /// The row key, if it is stored the other way.
    pub other_key: Option<String>,
    /// Active or not.
    pub user: Arc<User>,
}

/// The owners of those tokens. SQLite takes one statement for both keys of a token, so
/// that an unknown token costs no more than a good one; PostgreSQL one for all.
pub fn find_owners(
    conn: &mut Connection<'_>,
    users: &UserTable,
    keys: &[RowKeys],
) -> QueryResult<Vec<Option<Owner>>> {
    match conn {
        Connection::Sqlite(c) => keys
            .iter()
            .map(|keys| {
                let (key, or_else) = (&keys.key, &keys.or_else);
                let either = with_user!(key.eq(key)).union_all(with_user!(key.eq(or_else)));
                let query = users.query(either.limit(1));
                let found: Option<(String, User)> = readable(query.get_result(&mut **c))?;
                Ok(found.map(|(key, user)| Owner {
                    other_key: (key != keys.key).then_some(key),
                    user: Arc::new(users.own(user)),
                }))
            })
            .collect(),
        Connection::Postgres(c) => {
            let query = with_user!(key.eq_any(RowKeys::of_all(keys)));
            let found = users.query(query).load(&mut **c)?;
            let found: HashMap<String, Arc<User>> = found
                .into_iter()
                .map(|(key, user): (String, User)| (key, Arc::new(user)))
                .collect();
            let owner = |keys: &RowKeys| {
                let (key, user) = keys.choose(&found)?;
                Some(Owner {
                    other_key: (*key != keys.key).then(|| key.clone()),
                    user: Arc::clone(user),
                })
            };
            Ok(keys.iter().map(owner).collect())
        }
    }
}

/// The row key of the user's token. PostgreSQL locks the row in a write, so that a
/// logout which deletes the token waits for a login that is about to answer with it.
pub fn find_key_for_update(
    conn: &mut Connection<'_>,
    user: &UserId,
) -> QueryResult<Option<String>> {
    match conn {
        Connection::Sqlite(c) => by_user(user).get_result(&mut **c).optional(),
        Connection::Postgres(c) => by_user(user).for_update().get_result(&mut **c).optional(),
    }
}

/// The row key of the user's token, for showing it.
pub fn find_key(conn: &mut Connection<'_>, user: &UserId) -> QueryResult<Option<String>> {
    readable(on!(conn, c => by_user(user).get_result(c)))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn by_user(user: &UserId) -> _ {
    authtoken_token::table
        .filter(authtoken_token::user_id.eq(user))
        .select(authtoken_token::key)
}

/// Inserts the user's token; `false` if the user already has one.
pub fn create(
    conn: &mut Connection<'_>,
    user: &UserId,
    key: &str,
    now: DjangoTime,
) -> QueryResult<bool> {
    let inserted = on!(conn, c => diesel::insert_into(authtoken_token::table)
        .values((
            authtoken_token::key.eq(key),
            authtoken_token::user_id.eq(user),
            authtoken_token::created.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// Gives a token row another key; `false` if the row is gone.
pub fn replace_key(
    conn: &mut Connection<'_>,
    old: &str,
    new: &str,
    created: Option<DjangoTime>,
) -> QueryResult<bool> {
    let updated = on!(conn, c => diesel::update(authtoken_token::table)
        .filter(authtoken_token::key.eq(old))
        .set((
            authtoken_token::key.eq(new),
            created.map(|created| authtoken_token::created.eq(created)),
        ))
        .execute(c))?;
    Ok(updated == 1)
}

/// Deletes the user's token; how many rows went.
pub fn delete_by_user(conn: &mut Connection<'_>, user: &UserId) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(authtoken_token::table)
        .filter(authtoken_token::user_id.eq(user))
        .execute(c))
}

/// Deletes the tokens with those row keys; how many rows went.
pub fn delete(conn: &mut Connection<'_>, keys: &[&str]) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(authtoken_token::table)
        .filter(authtoken_token::key.eq_any(keys))
        .execute(c))
}

/// How many keys are plaintext.
pub fn count_plaintext(conn: &mut Connection<'_>) -> QueryResult<i64> {
    on!(conn, c => authtoken_token::table
        .filter(authtoken_token::key.not_like("$%"))
        .count()
        .get_result(c))
}

/// How many keys are sealed.
pub fn count_sealed(conn: &mut Connection<'_>) -> QueryResult<i64> {
    on!(conn, c => authtoken_token::table
        .filter(authtoken_token::key.like("$%"))
        .count()
        .get_result(c))
}

/// Some sealed keys with their users, in order, from the one after `last` on.
pub fn find_sealed_after(
    conn: &mut Connection<'_>,
    last: &str,
    limit: i64,
) -> QueryResult<Vec<(String, UserId)>> {
    on!(conn, c => authtoken_token::table
        .filter(authtoken_token::key.gt(last))
        .filter(authtoken_token::key.like("$%"))
        .order(authtoken_token::key)
        .select((authtoken_token::key, authtoken_token::user_id))
        .limit(limit)
        .load(c))
}

/// Some plaintext keys.
pub fn find_plaintext(conn: &mut Connection<'_>, limit: i64) -> QueryResult<Vec<String>> {
    on!(conn, c => authtoken_token::table
        .filter(authtoken_token::key.not_like("$%"))
        .select(authtoken_token::key)
        .limit(limit)
        .load(c))
}

/// How many tokens belong to users who are not active.
pub fn count_of_inactive(conn: &mut Connection<'_>, users: &UserTable) -> QueryResult<i64> {
    let query = authtoken_token::table
        .inner_join(accounts_customuser::table)
        .filter(accounts_customuser::is_active.eq(false))
        .count();
    on!(conn, c => users.query(query).get_result(c))
}
