//! Look-ups by key that a service makes with every request: always fresh, and
//! seldom a query of their own.
//!
//! On SQLite an answer is remembered together with the moment from before the
//! query. It is given again only while nothing has been committed since, by nobody,
//! but commits of our own that have not touched its row. Keys that are asked for
//! once only are not remembered, and those that nobody has in a place of their
//! own: a flood of either drives out nothing.
//!
//! On PostgreSQL all look-ups that wait go into one query. It is sent after the
//! last of them came in, so each answer is newer than its question.

use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::prelude::QueryResult;
use quick_cache::sync::Cache;

use super::postgres::batches::Batches;
use super::sqlite::{Moment, Sqlite, Stamp, Table};
use super::{Backend, Connection, Database, DatabaseError};

/// Rows of one kind that are remembered at most, of about half a kilobyte each.
const PRESENT: usize = 65_536;
/// Keys without a row that are remembered at most.
const ABSENT: usize = 16_384;
/// Keys that are known to have been asked for, of four bytes each.
const TRACES: usize = 65_536;

/// Looks many keys up in one go: one answer a key, in their order.
type Find<K, V> = dyn Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync;
type Answer<V> = Result<Option<V>, DatabaseError>;

/// A key that is looked up, and may stay in memory for longer than a request.
pub trait Remembered: Send + 'static {
    /// What stays: nothing that could be presented to us.
    type Kept: Borrow<Self::Sought> + Eq + Hash;
    /// What it is found by.
    type Sought: Eq + Hash + ?Sized;

    /// What it is found by.
    fn sought(&self) -> &Self::Sought;

    /// What stays.
    fn kept(&self) -> Self::Kept;

    /// The keys that its row may stand under: one, or one twice.
    fn texts(&self) -> [Cow<'_, str>; 2];
}

/// The look-ups of one kind. `V` should be cheap to clone.
pub struct LookUps<K: Remembered, V>(Way<K, V>);

enum Way<K: Remembered, V> {
    Sqlite(Remembering<K, V>),
    Postgres(Arc<Batches<K, V>>),
}

impl Database {
    /// Look-ups of what `find` finds here, by keys of that table. Of other tables it
    /// may read only the user of a token.
    pub fn look_ups<K: Remembered, V: Clone>(
        &self,
        table: Table,
        find: impl Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync + 'static,
    ) -> LookUps<K, V> {
        let find = Box::new(find);
        LookUps(match &self.backend {
            Backend::Sqlite(sqlite) => Way::Sqlite(Remembering {
                sqlite: Arc::clone(sqlite),
                table,
                find,
                memory: Memory::new(),
            }),
            Backend::Postgres(postgres) => Way::Postgres(Batches::new(postgres.clone(), find)),
        })
    }
}

impl<K, V> LookUps<K, V>
where
    K: Remembered,
    V: Clone + Send + 'static,
{
    /// What there is under that key, not older than this call.
    pub async fn get(&self, key: K) -> Answer<V> {
        match &self.0 {
            Way::Sqlite(look_ups) => look_ups.get(key),
            Way::Postgres(batches) => batches.get(key).await,
        }
    }
}

/// Look-ups in SQLite, and what has come of them.
struct Remembering<K: Remembered, V> {
    sqlite: Arc<Sqlite>,
    table: Table,
    find: Box<Find<K, V>>,
    memory: Memory<K, V>,
}

impl<K: Remembered, V: Clone> Remembering<K, V> {
    fn get(&self, key: K) -> Answer<V> {
        // Before the query: a commit in between makes the answer look older than it
        // is, never newer.
        let standing = self.sqlite.standing();
        let now = standing.and_then(|standing| standing.moment);
        let remembered = self.memory.get(&key);
        let is_remembered = remembered.is_some();
        if let (Some(now), Some((stamp, answer))) = (now, remembered)
            && self.sqlite.still_holds(stamp, now)
        {
            return Ok(answer);
        }
        let stamp = now.map(|now| self.stamp(&key, now));
        if let Some(stamp) = stamp
            && self.sqlite.lacks(self.table, &stamp.tags)
        {
            return Ok(None);
        }
        let found = self.sqlite.look_up(standing.as_ref(), |c| {
            (self.find)(c, std::slice::from_ref(&key))
        })?;
        let found = found.into_iter().next().flatten();
        if let Some(stamp) = stamp {
            if found.is_none() {
                self.sqlite.miss(self.table);
            }
            if is_remembered || self.memory.is_asked_again(stamp) {
                self.memory.insert(&key, stamp, found.clone());
            }
        }
        Ok(found)
    }

    fn stamp(&self, key: &K, seen: Moment) -> Stamp {
        let tag = |text: &Cow<'_, str>| self.sqlite.tag(self.table, text.as_bytes());
        let tags = key.texts().each_ref().map(tag);
        Stamp { seen, tags }
    }
}

/// What was found, and what was not, and when.
struct Memory<K: Remembered, V> {
    present: Cache<K::Kept, (Stamp, V)>,
    absent: Cache<K::Kept, Stamp>,
    /// Traces of the keys that were asked for of late.
    asked: Box<[AtomicU32]>,
}

impl<K: Remembered, V: Clone> Memory<K, V> {
    fn new() -> Self {
        Self {
            present: Cache::new(PRESENT),
            absent: Cache::new(ABSENT),
            asked: std::iter::repeat_with(AtomicU32::default)
                .take(TRACES)
                .collect(),
        }
    }

    fn get(&self, key: &K) -> Option<(Stamp, Option<V>)> {
        let present = self
            .present
            .get(key.sought())
            .map(|(seen, value)| (seen, Some(value)));
        present.or_else(|| Some((self.absent.get(key.sought())?, None)))
    }

    fn insert(&self, key: &K, stamp: Stamp, found: Option<V>) {
        match found {
            Some(value) => self.present.insert(key.kept(), (stamp, value)),
            None => {
                // Or it would be found there first, out of date.
                self.present.remove(key.sought());
                self.absent.insert(key.kept(), stamp);
            }
        }
    }

    /// Whether the key of that stamp has left a trace; it leaves one now.
    fn is_asked_again(&self, stamp: Stamp) -> bool {
        let [tag, _] = stamp.tags;
        let trace_there = self.asked.get(tag.place(TRACES));
        trace_there.is_some_and(|there| there.swap(tag.trace(), Ordering::Relaxed) == tag.trace())
    }
}

#[cfg(test)]
mod tests;
