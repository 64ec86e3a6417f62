//! [`cached`]: statements that stay prepared.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

/// A statement whose text has few variants: each connection prepares each variant once.
///
/// Diesel caches no `UPDATE` and no `sql_query`. To prepare those of a login each time
/// took a sixth of the time of SQLite's writer thread.
pub fn cached<T>(statement: T) -> Cached<T> {
    Cached(statement)
}

/// See [`cached`].
pub struct Cached<T>(T);

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for Cached<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T> QueryId for Cached<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T: Query> Query for Cached<T> {
    type SqlType = T::SqlType;
}

impl<T, C> RunQueryDsl<C> for Cached<T> {}
