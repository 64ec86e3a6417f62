//! The look-ups by key that every request makes: each answer is as new as its question.
//!
//! On SQLite they run on the calling thread, in shared snapshots ([`super::sqlite`]);
//! on PostgreSQL in one query for all that wait ([`super::postgres::batches`]).

use std::sync::Arc;

use diesel::prelude::QueryResult;

use super::connection::Connection;
use super::database::{Backend, Database};
use super::postgres::batches::{Answer, Batches, Find};
use super::sqlite::Sqlite;

/// The look-ups of one kind; cheap to clone.
pub struct LookUps<K, V>(Arc<Way<K, V>>);

enum Way<K, V> {
    Sqlite(Arc<Sqlite>, Box<Find<K, V>>),
    Postgres(Arc<Batches<K, V>>),
}

impl<K, V> Clone for LookUps<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Database {
    /// Look-ups of what `find` finds here.
    pub fn look_ups<K, V>(
        &self,
        find: impl Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync + 'static,
    ) -> LookUps<K, V> {
        let find = Box::new(find);
        LookUps(Arc::new(match &self.backend {
            Backend::Sqlite(sqlite) => Way::Sqlite(Arc::clone(sqlite), find),
            Backend::Postgres(postgres) => Way::Postgres(Batches::new(postgres.clone(), find)),
        }))
    }
}

impl<K: Send + 'static, V: Send + 'static> LookUps<K, V> {
    /// What there is under that key, not older than this call.
    pub async fn get(&self, key: K) -> Answer<V> {
        match &*self.0 {
            Way::Sqlite(sqlite, find) => {
                let mut found = sqlite.look_up(|c| find(c, std::slice::from_ref(&key)))?;
                Ok(found.pop().flatten())
            }
            Way::Postgres(batches) => batches.get(key).await,
        }
    }
}
