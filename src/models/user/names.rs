//! Names that people will mix up.

use diesel::prelude::*;

use crate::db::{Connection, on};
use crate::models::columns::AnyText;
use crate::models::user_table::UserTable;
use crate::schema::accounts_customuser;

impl UserTable {
    /// Names that several users have, as the column compares them.
    pub fn find_shared_names(&self, conn: &mut Connection<'_>) -> QueryResult<Vec<String>> {
        let query = accounts_customuser::table
            .group_by(accounts_customuser::username)
            .having(diesel::dsl::count_star().gt(1))
            .select(diesel::dsl::min(accounts_customuser::username));
        let names: Vec<Option<AnyText>> = on!(conn, c => self.query(query).load(c))?;
        Ok(names.into_iter().flatten().map(|name| name.0).collect())
    }

    /// One of each set of names that differ only by case.
    pub fn find_names_by_case(&self, conn: &mut Connection<'_>) -> QueryResult<Vec<String>> {
        let query = accounts_customuser::table
            .group_by(lower(accounts_customuser::username))
            .having(diesel::dsl::count_star().gt(1))
            .select(diesel::dsl::min(accounts_customuser::username));
        let names: Vec<Option<AnyText>> = on!(conn, c => self.query(query).load(c))?;
        Ok(names.into_iter().flatten().map(|name| name.0).collect())
    }
}

diesel::define_sql_function! {
    /// The database's own `lower`.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}
