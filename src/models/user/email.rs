//! Users by their e-mail address.

use diesel::dsl::case_when;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{Bool, Integer, Text};
use diesel::sqlite::Sqlite;

use super::User;
use super::names::lower;
use crate::db::{Connection, on, readable};
use crate::models::user_id::value_of;
use crate::models::user_table::UserTable;
use crate::schema::accounts_customuser::{self, dsl};

/// That `email` is this address, upper or lower case: what Django's `iexact` asks, in
/// words that an index can answer (`docs/django.md`).
///
/// PostgreSQL's `upper` also takes `ı` for `i` and `ſ` for `s`, and its `lower` `K`, the
/// sign for kelvin, for `k`. No two letters that only look alike are one by both.
#[derive(Debug, Clone, Copy)]
struct HasEmail<'a>(&'a str);

value_of!(Bool: HasEmail);

impl QueryFragment<Pg> for HasEmail<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (before, after) in [("upper", " AND "), ("lower", "")] {
            pass.push_sql(before);
            pass.push_sql("(accounts_customuser.email) = ");
            pass.push_sql(before);
            pass.push_sql("(");
            pass.push_bind_param::<Text, _>(self.0)?;
            pass.push_sql(")");
            pass.push_sql(after);
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for HasEmail<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        pass.push_sql("accounts_customuser.email COLLATE NOCASE = ");
        pass.push_bind_param::<Text, _>(self.0)
    }
}

impl UserTable {
    /// The one active user with that address or, if no active one has it, the one user.
    /// None if there are two, as neither could be told from the other.
    pub fn find_by_email(
        &self,
        conn: &mut Connection<'_>,
        address: &str,
    ) -> QueryResult<Option<User>> {
        let inactive_last = case_when(dsl::is_active.eq(true), 0_i32.into_sql::<Integer>())
            .otherwise(1_i32.into_sql::<Integer>());
        let found = on!(conn, c => self.query(accounts_customuser::table
            .filter(HasEmail(address))
            .order(inactive_last)
            .select(User::as_select())
            .limit(2))
            .load::<User>(c));
        let mut found = readable(found)?.unwrap_or_default().into_iter();
        let (Some(user), other) = (found.next(), found.next()) else {
            return Ok(None);
        };
        if other.is_some_and(|other| other.is_active == user.is_active) {
            tracing::warn!("two users share an address: neither can log in with it");
            return Ok(None);
        }
        Ok(is_same(&user.email, address).then(|| self.own(user)))
    }

    /// One of each set of addresses that several active users share.
    pub fn find_shared_emails(&self, conn: &mut Connection<'_>) -> QueryResult<Vec<String>> {
        let query = accounts_customuser::table
            .filter(dsl::is_active.eq(true))
            .filter(dsl::email.ne(""))
            .group_by(lower(dsl::email))
            .having(diesel::dsl::count_star().gt(1))
            .select(diesel::dsl::min(dsl::email));
        let addresses: Vec<Option<String>> = on!(conn, c => self.query(query).load(c))?;
        Ok(addresses.into_iter().flatten().collect())
    }
}

/// Again, since which letters are one in PostgreSQL depends on its locale (CVE-2019-19844
/// was to trust that).
fn is_same(stored: &str, typed: &str) -> bool {
    stored.to_lowercase() == typed.to_lowercase() && stored.to_uppercase() == typed.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_look_alike_are_not_one() {
        assert!(is_same("Mikë@Example.org", "mIKË@eXAMPLE.ORG"));
        for typed in [
            "mıkes@x.org",
            "mi\u{212a}es@x.org",
            "mikeſ@x.org",
            "mİkes@x.org",
            "ｍikes@x.org",
            "mikes@x.org ",
        ] {
            assert!(!is_same("mikes@x.org", typed), "{typed}");
        }
    }
}
