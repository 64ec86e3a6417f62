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
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::prelude::QueryResult;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use super::postgres::{Pooled, Postgres, in_time};
use super::sqlite::{Moment, Sqlite, Stamp, Table};
use super::{Backend, Connection, Database, DatabaseError};

/// Rows of one kind that are remembered at most, of about half a kilobyte each.
const PRESENT: usize = 65_536;
/// Keys without a row that are remembered at most.
const ABSENT: usize = 16_384;
/// Keys that are known to have been asked for, of four bytes each.
const TRACES: usize = 65_536;
/// Keys in one query.
const BATCH: usize = 256;

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
            Backend::Postgres(postgres) => Way::Postgres(Arc::new(Batches {
                postgres: postgres.clone(),
                find,
                state: Mutex::default(),
            })),
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

/// Who waits for PostgreSQL.
struct Batches<K, V> {
    postgres: Postgres,
    find: Box<Find<K, V>>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    waiting: VecDeque<(K, oneshot::Sender<Answer<V>>)>,
    /// Whether somebody is at work on them.
    is_served: bool,
}

impl<K, V> Default for State<K, V> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            is_served: false,
        }
    }
}

impl<K, V> Batches<K, V> {
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Batches<K, V>
where
    K: Remembered,
    V: Send + 'static,
{
    async fn get(self: &Arc<Self>, key: K) -> Answer<V> {
        let (sender, receiver) = oneshot::channel();
        let is_served = {
            let mut state = self.lock();
            state.waiting.push_back((key, sender));
            std::mem::replace(&mut state.is_served, true)
        };
        if !is_served {
            let service = Service {
                batches: Arc::clone(self),
                connection: None,
                is_over: false,
            };
            tokio::task::spawn_blocking(move || service.serve());
        }
        in_time(receiver)
            .await?
            .unwrap_or(Err(DatabaseError::NoAnswer))
    }
}

/// One thread's work on them, until nobody waits.
struct Service<K, V> {
    batches: Arc<Batches<K, V>>,
    connection: Option<Pooled>,
    is_over: bool,
}

impl<K: Remembered, V> Service<K, V> {
    fn serve(mut self) {
        while let Some(batch) = self.next_batch() {
            let (keys, senders): (Vec<K>, Vec<_>) = batch.into_iter().unzip();
            match self.find(&keys) {
                Ok(found) => {
                    for (sender, found) in senders.into_iter().zip(found) {
                        // An error means that the client has gone.
                        let _ = sender.send(Ok(found));
                    }
                }
                Err(error) => {
                    self.connection = None;
                    let error = Arc::new(error);
                    for sender in senders {
                        let _ = sender.send(Err(DatabaseError::Shared(Arc::clone(&error))));
                    }
                }
            }
        }
    }

    /// Whoever waits now; nobody is the end.
    fn next_batch(&mut self) -> Option<Vec<(K, oneshot::Sender<Answer<V>>)>> {
        let mut state = self.batches.lock();
        let size = state.waiting.len().min(BATCH);
        if size == 0 {
            state.is_served = false;
            self.is_over = true;
            return None;
        }
        Some(state.waiting.drain(..size).collect())
    }

    fn find(&mut self, keys: &[K]) -> Result<Vec<Option<V>>, DatabaseError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.batches.postgres.connection()?),
        };
        Ok((self.batches.find)(
            &mut Connection::Postgres(connection),
            keys,
        )?)
    }
}

/// After a panic, or if the thread never started: nobody waits in vain.
impl<K, V> Drop for Service<K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.batches.lock();
            state.is_served = false;
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests;
