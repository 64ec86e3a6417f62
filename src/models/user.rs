//! `accounts_customuser`: Django's `CustomUser(AbstractUser)`.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::{Timestamp, UserId, readable};
use crate::db::{Connection, cached, on};
use crate::schema::accounts_customuser;

/// What a request needs to know of a user. It has no date, so that a date which cannot
/// be read does not lock its owner out.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = accounts_customuser)]
pub struct User {
    /// Primary key.
    pub id: UserId,
    /// Django's encoded hash; see [`django_auth::password`].
    pub password: String,
    /// Unique, exact to the byte.
    pub username: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// May be empty.
    pub email: String,
    /// Whether this user may log in, and be logged in, at all.
    pub is_active: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A row to insert; the database gives the id.
#[derive(Insertable)]
#[diesel(table_name = accounts_customuser)]
pub struct NewUser<'a> {
    /// Django's encoded hash.
    pub password: &'a str,
    /// See [`User::username`].
    pub username: &'a str,
    /// May be empty.
    pub email: &'a str,
    /// May be empty.
    pub first_name: &'a str,
    /// May be empty.
    pub last_name: &'a str,
    /// All permissions, in Django.
    pub is_superuser: bool,
    /// May open Django's admin.
    pub is_staff: bool,
    /// See [`User::is_active`].
    pub is_active: bool,
    /// Now.
    pub date_joined: Timestamp,
}

/// The user of that id.
pub fn find(conn: &mut Connection<'_>, id: UserId) -> QueryResult<Option<User>> {
    readable(on!(conn, c => accounts_customuser::table
        .filter(accounts_customuser::id.eq(id))
        .select(User::as_select())
        .get_result(c)))
}

/// The users of those ids: one statement for each on SQLite, one for all on PostgreSQL.
pub fn find_all(conn: &mut Connection<'_>, ids: &[UserId]) -> QueryResult<Vec<Option<Arc<User>>>> {
    match conn {
        Connection::Sqlite(_) => ids
            .iter()
            .map(|id| Ok(find(conn, *id)?.map(Arc::new)))
            .collect(),
        Connection::Postgres(c) => {
            let found = accounts_customuser::table
                .filter(accounts_customuser::id.eq_any(ids))
                .select(User::as_select())
                .load(&mut **c)?;
            let by_id = |user: User| (user.id, Arc::new(user));
            let found: HashMap<UserId, Arc<User>> = found.into_iter().map(by_id).collect();
            Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
        }
    }
}

/// The user of exactly that name.
pub fn find_by_username(conn: &mut Connection<'_>, username: &str) -> QueryResult<Option<User>> {
    readable(on!(conn, c => accounts_customuser::table
        .filter(accounts_customuser::username.eq(username))
        .select(User::as_select())
        .get_result(c)))
}

/// When the user last logged in.
pub fn find_last_login(conn: &mut Connection<'_>, id: UserId) -> QueryResult<Option<Timestamp>> {
    let found = on!(conn, c => accounts_customuser::table
        .filter(accounts_customuser::id.eq(id))
        .select(accounts_customuser::last_login)
        .get_result::<Option<Timestamp>>(c));
    Ok(readable(found)?.flatten())
}

/// How many users there are.
pub fn count(conn: &mut Connection<'_>) -> QueryResult<i64> {
    on!(conn, c => accounts_customuser::table.count().get_result(c))
}

/// Inserts a user; `false` if the name is taken.
pub fn create(conn: &mut Connection<'_>, user: &NewUser<'_>) -> QueryResult<bool> {
    match conn {
        // A view of another project's table takes no `ON CONFLICT` here, but one writer
        // at a time is all that SQLite has.
        Connection::Sqlite(_) => {
            if find_by_username(conn, user.username)?.is_some() {
                return Ok(false);
            }
            on!(conn, c => diesel::insert_into(accounts_customuser::table)
                .values(user)
                .execute(c))?;
            Ok(true)
        }
        Connection::Postgres(c) => {
            let inserted = diesel::insert_into(accounts_customuser::table)
                .values(user)
                .on_conflict(accounts_customuser::username)
                .do_nothing()
                .execute(&mut **c)?;
            Ok(inserted == 1)
        }
    }
}

/// Stores `last_login` and the upgraded hash, if any. `false` if the user was deleted,
/// deactivated or given another password since `user` was read: the login is then void.
pub fn record_login(
    conn: &mut Connection<'_>,
    user: &User,
    last_login: Option<Timestamp>,
    upgraded: Option<&str>,
) -> QueryResult<bool> {
    let is_same = |found: User| found.is_active && found.password == user.password;
    if !lock(conn, user.id)?.is_some_and(is_same) {
        return Ok(false);
    }
    if last_login.is_some() || upgraded.is_some() {
        on!(conn, c => cached(diesel::update(accounts_customuser::table)
            .filter(accounts_customuser::id.eq(user.id))
            .set((
                last_login.map(|at| accounts_customuser::last_login.eq(at)),
                upgraded.map(|encoded| accounts_customuser::password.eq(encoded)),
            )))
            .execute(c))?;
    }
    Ok(true)
}

/// Stores another hash; `false` if there is no such user.
pub fn update_password(conn: &mut Connection<'_>, id: UserId, encoded: &str) -> QueryResult<bool> {
    if lock(conn, id)?.is_none() {
        return Ok(false);
    }
    on!(conn, c => diesel::update(accounts_customuser::table)
        .filter(accounts_customuser::id.eq(id))
        .set(accounts_customuser::password.eq(encoded))
        .execute(c))?;
    Ok(true)
}

/// The user, locked until the transaction ends. The number of updated rows would not
/// do: SQLite counts none through a view.
fn lock(conn: &mut Connection<'_>, id: UserId) -> QueryResult<Option<User>> {
    match conn {
        Connection::Sqlite(_) => find(conn, id),
        Connection::Postgres(c) => accounts_customuser::table
            .filter(accounts_customuser::id.eq(id))
            .select(User::as_select())
            .for_update()
            .get_result(&mut **c)
            .optional(),
    }
}

/// Some users' hashes, in order of id, from the one after `last` on.
pub fn find_passwords_after(
    conn: &mut Connection<'_>,
    last: UserId,
    limit: i64,
) -> QueryResult<Vec<(UserId, String)>> {
    on!(conn, c => accounts_customuser::table
        .filter(accounts_customuser::id.gt(last))
        .order(accounts_customuser::id)
        .select((accounts_customuser::id, accounts_customuser::password))
        .limit(limit)
        .load(c))
}

diesel::define_sql_function! {
    /// The database's own `lower`.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// One of each set of names that differ only by case.
pub fn find_names_by_case(conn: &mut Connection<'_>) -> QueryResult<Vec<String>> {
    on!(conn, c => accounts_customuser::table
        .group_by(lower(accounts_customuser::username))
        .having(diesel::dsl::count_star().gt(1))
        .select(diesel::dsl::min(accounts_customuser::username))
        .load::<Option<String>>(c))
    .map(|names| names.into_iter().flatten().collect())
}
