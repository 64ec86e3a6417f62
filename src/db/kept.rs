//! [`kept`]: statements that stay prepared.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

/// A statement of few texts, whatever its values are: each is prepared once for a
/// connection, and found again by its text.
///
/// Diesel keeps no `UPDATE` and no `sql_query`, since it cannot know that. To
/// prepare those of a login anew was a sixth of the time of SQLite's writer thread.
pub fn kept<T>(statement: T) -> Kept<T> {
    Kept(statement)
}

/// See [`kept`].
pub struct Kept<T>(T);

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for Kept<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T> QueryId for Kept<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T: Query> Query for Kept<T> {
    type SqlType = T::SqlType;
}

impl<T, C> RunQueryDsl<C> for Kept<T> {}
