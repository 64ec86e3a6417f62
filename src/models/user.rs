//! The project's users: Django's `CustomUser(AbstractUser)`, or whatever its user model
//! is. See [`UserTable`].

mod email;
mod names;
mod statements;

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use self::statements::{Insert, Name, Unchanged, Update, Value};
use super::columns::{AnyText, Flag, MaybeText};
use super::user_id::AnyKey;
use super::user_table::{Field, UserTable};
use super::{DjangoTime, Timestamp, UserId};
use crate::db::{Connection, cached, on, readable};
use crate::schema::accounts_customuser;

/// What a request needs to know of a user. It has no date, so that a date which cannot
/// be read does not lock its owner out.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = accounts_customuser)]
pub struct User {
    /// Primary key.
    pub id: UserId,
    /// Django's encoded hash; see [`django_auth::password`].
    #[diesel(deserialize_as = MaybeText)]
    pub password: String,
    /// What the user logs in with.
    #[diesel(deserialize_as = MaybeText)]
    pub username: String,
    /// May be empty.
    #[diesel(deserialize_as = MaybeText)]
    pub first_name: String,
    /// May be empty.
    #[diesel(deserialize_as = MaybeText)]
    pub last_name: String,
    /// May be empty.
    #[diesel(deserialize_as = MaybeText)]
    pub email: String,
    /// Whether this user may log in, and be logged in, at all.
    #[diesel(deserialize_as = Flag)]
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

/// A row to insert; what the project has no column for is left out.
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

impl UserTable {
    /// The user of that id.
    pub fn find(&self, conn: &mut Connection<'_>, id: &UserId) -> QueryResult<Option<User>> {
        let found = on!(conn, c => self.query(accounts_customuser::table
            .filter(accounts_customuser::id.eq(id))
            .select(User::as_select()))
            .get_result(c));
        Ok(readable(found)?.map(|user| self.own(user)))
    }

    /// The users of those ids: one statement for each on SQLite, one for all on
    /// PostgreSQL.
    pub fn find_all(
        &self,
        conn: &mut Connection<'_>,
        ids: &[UserId],
    ) -> QueryResult<Vec<Option<Arc<User>>>> {
        match conn {
            Connection::Sqlite(_) => ids
                .iter()
                .map(|id| Ok(self.find(conn, id)?.map(Arc::new)))
                .collect(),
            Connection::Postgres(c) => {
                let query = accounts_customuser::table
                    .filter(accounts_customuser::id.eq(AnyKey(ids)))
                    .select(User::as_select());
                let found: Vec<User> = self.query(query).load(&mut **c)?;
                let by_id = |user: User| (user.id.clone(), Arc::new(user));
                let found: HashMap<UserId, Arc<User>> = found.into_iter().map(by_id).collect();
                Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
            }
        }
    }

    /// The user of that name, as the column compares it. None if there are two, as
    /// neither could be told from the other.
    pub fn find_by_username(
        &self,
        conn: &mut Connection<'_>,
        username: &str,
    ) -> QueryResult<Option<User>> {
        let found = on!(conn, c => self.query(accounts_customuser::table
            .filter(accounts_customuser::username.eq(Name(username)))
            .select(User::as_select())
            .limit(2))
            .load::<User>(c));
        let found = match found {
            // Letters that the database does not have, so it has no such user.
            Err(Error::DatabaseError(DatabaseErrorKind::Unknown, _))
                if !self.may_hold(username) =>
            {
                return Ok(None);
            }
            found => found,
        };
        let mut found = readable(found)?.unwrap_or_default();
        if found.len() > 1 {
            tracing::warn!("two users have one name: neither can log in");
            return Ok(None);
        }
        Ok(found.pop().map(|user| self.own(user)))
    }

    /// When the user last logged in.
    pub fn find_last_login(
        &self,
        conn: &mut Connection<'_>,
        id: &UserId,
    ) -> QueryResult<Option<Timestamp>> {
        let query = accounts_customuser::table
            .filter(accounts_customuser::id.eq(id))
            .select(accounts_customuser::last_login);
        let found = on!(conn, c => self.query(query).get_result::<Option<DjangoTime>>(c));
        let last_login = readable(found)?.flatten();
        Ok(last_login.map(|time| self.zone().earliest(time)))
    }

    /// How many users logged in between these times.
    pub fn count_logged_in(
        &self,
        conn: &mut Connection<'_>,
        times: [Timestamp; 2],
    ) -> QueryResult<i64> {
        let [from, to] = times.map(|moment| self.zone().to_django(moment));
        let query = accounts_customuser::table
            .filter(accounts_customuser::last_login.gt(from))
            .filter(accounts_customuser::last_login.lt(to))
            .count();
        on!(conn, c => self.query(query).get_result(c))
    }

    /// How many users there are.
    pub fn count(&self, conn: &mut Connection<'_>) -> QueryResult<i64> {
        on!(conn, c => self.query(accounts_customuser::table.count()).get_result(c))
    }

    /// Inserts a user; `false` if the name is taken. Of two at once with one name, one
    /// gets the database's error.
    pub fn create(&self, conn: &mut Connection<'_>, user: &NewUser<'_>) -> QueryResult<bool> {
        let insert = Insert::new(
            self,
            [
                (Field::Password, Value::Text(user.password)),
                (Field::LastLogin, Value::Null),
                (Field::IsSuperuser, Value::Flag(user.is_superuser)),
                (Field::Username, Value::Text(user.username)),
                (Field::FirstName, Value::Text(user.first_name)),
                (Field::LastName, Value::Text(user.last_name)),
                (Field::Email, Value::Text(user.email)),
                (Field::IsStaff, Value::Flag(user.is_staff)),
                (Field::IsActive, Value::Flag(user.is_active)),
                (
                    Field::DateJoined,
                    Value::Time(self.zone().to_django(user.date_joined)),
                ),
            ],
        );
        if self.find_by_username(conn, user.username)?.is_some() {
            return Ok(false);
        }
        on!(conn, c => cached(&insert).execute(c))?;
        Ok(true)
    }

    /// Stores `last_login` and the upgraded hash, if any. `false` if the user was
    /// deleted, deactivated or given another password since `user` was read: the login
    /// is then void.
    pub fn record_login(
        &self,
        conn: &mut Connection<'_>,
        user: &User,
        last_login: Option<Timestamp>,
        upgraded: Option<&str>,
    ) -> QueryResult<bool> {
        let changes = [
            last_login.map(|at| (Field::LastLogin, Value::Time(self.zone().to_django(at)))),
            upgraded.map(|encoded| (Field::Password, Value::Text(encoded))),
        ];
        let update = Update::new(self, &user.id, changes.into_iter().flatten());
        if update.is_empty() {
            let unchanged = Unchanged::new(self, &user.id, &user.password);
            return Ok(on!(conn, c => cached(&unchanged).load::<i32>(c))?.len() == 1);
        }
        let update = update.if_password_is(&user.password);
        Ok(on!(conn, c => cached(&update).execute(c))? == 1)
    }

    /// Stores another hash; `false` if there is no such user.
    pub fn update_password(
        &self,
        conn: &mut Connection<'_>,
        id: &UserId,
        encoded: &str,
    ) -> QueryResult<bool> {
        let update = Update::new(self, id, [(Field::Password, Value::Text(encoded))]);
        Ok(on!(conn, c => cached(&update).execute(c))? == 1)
    }

    /// Some users' hashes, in order of id, from the one after `last` on.
    pub fn find_passwords_after(
        &self,
        conn: &mut Connection<'_>,
        last: Option<&UserId>,
        limit: i64,
    ) -> QueryResult<Vec<(UserId, String)>> {
        let query = accounts_customuser::table
            .order(accounts_customuser::id)
            .select((accounts_customuser::id, accounts_customuser::password))
            .limit(limit);
        let found: Vec<(UserId, AnyText)> = on!(conn, c => match last {
            None => self.query(query).load(c),
            Some(last) => self.query(query.filter(accounts_customuser::id.gt(last))).load(c),
        })?;
        // The id as it stands there, which is what the next page compares with.
        let read = |(id, encoded): (UserId, AnyText)| (id, encoded.0);
        Ok(found.into_iter().map(read).collect())
    }

    /// Some users' hashes, of the first and of the last `limit`.
    pub fn find_some_passwords(
        &self,
        conn: &mut Connection<'_>,
        limit: i64,
    ) -> QueryResult<Vec<String>> {
        let query = accounts_customuser::table
            .select(accounts_customuser::password)
            .limit(limit);
        let ends = on!(conn, c => [
            self.query(query.order(accounts_customuser::id.asc())).load::<AnyText>(c)?,
            self.query(query.order(accounts_customuser::id.desc())).load::<AnyText>(c)?,
        ]);
        Ok(ends.into_iter().flatten().map(|text| text.0).collect())
    }

    /// The user with a key of this table's kind.
    pub(super) fn own(&self, mut user: User) -> User {
        user.id = self.key().own(user.id);
        user
    }
}
