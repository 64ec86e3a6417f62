//! `django_session`: one row a session, opaque but to [`django_auth`].

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::MaybeTime;
use super::{DjangoTime, RowKeys, TimeZone, Timestamp};
use crate::db::{Connection, cached, on, readable};
use crate::schema::django_session;

/// A session as it is stored, expired or not.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = django_session)]
pub struct StoredSession {
    /// The row key.
    #[diesel(column_name = session_key)]
    pub key: String,
    /// See [`django_auth::SessionCodec`].
    #[diesel(column_name = session_data)]
    pub data: String,
    /// When it ends.
    #[diesel(column_name = expire_date)]
    pub expires: DjangoTime,
}

/// The rows with one or several keys. A macro, since the type differs between backends.
macro_rules! stored {
    (key.$is:ident($key:expr)) => {
        django_session::table
            .filter(django_session::session_key.$is($key))
            .select(StoredSession::as_select())
    };
}

/// The sessions with those row keys: one statement for each on SQLite, one for all on
/// PostgreSQL.
pub fn find(
    conn: &mut Connection<'_>,
    keys: &[RowKeys],
) -> QueryResult<Vec<Option<StoredSession>>> {
    match conn {
        Connection::Sqlite(c) => keys
            .iter()
            .map(|RowKeys { key, or_else }| {
                readable(
                    stored!(key.eq(key))
                        .union_all(stored!(key.eq(or_else)))
                        .limit(1)
                        .get_result(&mut **c),
                )
            })
            .collect(),
        Connection::Postgres(c) => {
            let found = stored!(key.eq_any(RowKeys::of_all(keys))).load(&mut **c)?;
            let by_key = |session: StoredSession| (session.key.clone(), session);
            let found: HashMap<String, StoredSession> = found.into_iter().map(by_key).collect();
            Ok(keys
                .iter()
                .map(|keys| keys.choose(&found).map(|(_, session)| session.clone()))
                .collect())
        }
    }
}

/// Inserts a session.
pub fn create(
    conn: &mut Connection<'_>,
    key: &str,
    data: &str,
    expires: DjangoTime,
) -> QueryResult<()> {
    on!(conn, c => diesel::insert_into(django_session::table)
        .values((
            django_session::session_key.eq(key),
            django_session::session_data.eq(data),
            django_session::expire_date.eq(expires),
        ))
        .execute(c))
    .map(drop)
}

/// Stores other data in a session that still exists. It never inserts: a slow request
/// must not bring back a session that was logged out.
pub fn update(
    conn: &mut Connection<'_>,
    key: &str,
    data: &str,
    expires: DjangoTime,
) -> QueryResult<bool> {
    let updated = on!(conn, c => diesel::update(django_session::table)
        .filter(django_session::session_key.eq(key))
        .set((
            django_session::session_data.eq(data),
            django_session::expire_date.eq(expires),
        ))
        .execute(c))?;
    Ok(updated == 1)
}

/// Stores other data in a session, unless somebody else did.
pub fn replace_data(
    conn: &mut Connection<'_>,
    key: &str,
    old: &str,
    new: &str,
) -> QueryResult<bool> {
    let updated = on!(conn, c => diesel::update(django_session::table)
        .filter(django_session::session_key.eq(key))
        .filter(django_session::session_data.eq(old))
        .set(django_session::session_data.eq(new))
        .execute(c))?;
    Ok(updated == 1)
}

/// Postpones the end of a session; `false` if the session is gone or ends later
/// already. So of two requests at once the slower one does not shorten it.
pub fn put_off_expiry(
    conn: &mut Connection<'_>,
    key: &str,
    expires: DjangoTime,
) -> QueryResult<bool> {
    let updated = on!(conn, c => cached(diesel::update(django_session::table)
        .filter(django_session::session_key.eq(key))
        .filter(django_session::expire_date.lt(expires))
        .set(django_session::expire_date.eq(expires)))
        .execute(c))?;
    Ok(updated == 1)
}

/// Gives a session row another key; `false` if it is gone.
pub fn replace_key(conn: &mut Connection<'_>, old: &str, new: &str) -> QueryResult<bool> {
    let updated = on!(conn, c => diesel::update(django_session::table)
        .filter(django_session::session_key.eq(old))
        .set(django_session::session_key.eq(new))
        .execute(c))?;
    Ok(updated == 1)
}

/// Deletes the sessions with those row keys; how many rows went. In one statement: of
/// two, each could miss a row that somebody moves from one key to the other.
pub fn delete(conn: &mut Connection<'_>, keys: &[&str]) -> QueryResult<usize> {
    on!(conn, c => diesel::delete(django_session::table)
        .filter(django_session::session_key.eq_any(keys))
        .execute(c))
}

/// Deletes sessions that have expired, whichever moment was meant, `limit` at most; how
/// many rows went.
pub fn delete_expired(
    conn: &mut Connection<'_>,
    zone: &TimeZone,
    now: Timestamp,
    limit: i64,
) -> QueryResult<usize> {
    let found: Vec<(String, MaybeTime)> = on!(conn, c => django_session::table
        .filter(django_session::expire_date.lt(zone.over_before(now)))
        .select((django_session::session_key, django_session::expire_date))
        .limit(limit)
        .load(c))?;
    // A text with an offset does not compare with those that have none.
    let is_over = |time: Option<DjangoTime>| time.is_none_or(|time| zone.latest(time) < now);
    let over = found
        .into_iter()
        .filter_map(|(key, time)| is_over(time.into()).then_some(key));
    let keys: Vec<String> = over.collect();
    on!(conn, c => diesel::delete(django_session::table)
        .filter(django_session::session_key.eq_any(&keys))
        .execute(c))
}

/// How many keys are plaintext.
pub fn count_plaintext(conn: &mut Connection<'_>) -> QueryResult<i64> {
    on!(conn, c => django_session::table
        .filter(django_session::session_key.not_like("$%"))
        .count()
        .get_result(c))
}

/// Deletes sealed sessions, `limit` at most; how many went.
pub fn delete_sealed(conn: &mut Connection<'_>, limit: i64) -> QueryResult<usize> {
    let keys: Vec<String> = on!(conn, c => django_session::table
        .filter(django_session::session_key.like("$%"))
        .select(django_session::session_key)
        .limit(limit)
        .load(c))?;
    on!(conn, c => diesel::delete(django_session::table)
        .filter(django_session::session_key.eq_any(&keys))
        .execute(c))
}

/// How many keys are sealed.
pub fn count_sealed(conn: &mut Connection<'_>) -> QueryResult<i64> {
    on!(conn, c => django_session::table
        .filter(django_session::session_key.like("$%"))
        .count()
        .get_result(c))
}

/// Some plaintext keys.
pub fn find_plaintext(conn: &mut Connection<'_>, limit: i64) -> QueryResult<Vec<String>> {
    on!(conn, c => django_session::table
        .filter(django_session::session_key.not_like("$%"))
        .select(django_session::session_key)
        .limit(limit)
        .load(c))
}

/// How many sessions have expired, whichever moment was meant.
pub fn count_expired(
    conn: &mut Connection<'_>,
    zone: &TimeZone,
    now: Timestamp,
) -> QueryResult<i64> {
    on!(conn, c => django_session::table
        .filter(django_session::expire_date.lt(zone.over_before(now)))
        .count()
        .get_result(c))
}

/// How many sessions end between these times.
pub fn count_ending(
    conn: &mut Connection<'_>,
    zone: &TimeZone,
    times: [Timestamp; 2],
) -> QueryResult<i64> {
    let [from, to] = times.map(|moment| zone.to_django(moment));
    on!(conn, c => django_session::table
        .filter(django_session::expire_date.gt(from))
        .filter(django_session::expire_date.lt(to))
        .count()
        .get_result(c))
}

/// The data of the sessions that end last.
pub fn find_newest(conn: &mut Connection<'_>, limit: i64) -> QueryResult<Vec<String>> {
    let found = on!(conn, c => django_session::table
        .order(django_session::expire_date.desc())
        .select(django_session::session_data)
        .limit(limit)
        .load(c));
    Ok(readable(found)?.unwrap_or_default())
}
