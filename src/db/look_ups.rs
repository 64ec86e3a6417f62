//! Look-ups by key that a service makes with every request: always fresh, and
//! seldom a query of their own.
//!
//! On SQLite a row that was found is remembered together with the database's
//! [`Version`] from before the query. It is given again only while the version
//! is still that one, so nothing has been committed since, by nobody. What was
//! not found is not remembered: a flood of keys that nobody has fills nothing.
//!
//! On PostgreSQL all look-ups that wait go into one query. It is sent after the
//! last of them came in, so each answer is newer than its question.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::prelude::QueryResult;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use super::postgres::{Pooled, Postgres};
use super::sqlite::{Sqlite, Version};
use super::{Backend, Connection, Database, DatabaseError};

/// Rows of one kind that are remembered at most, of about half a kilobyte each.
const REMEMBERED: usize = 16_384;
/// Keys in one query.
const BATCH: usize = 256;

/// Looks many keys up in one go: one answer a key, in their order.
type Find<K, V> = dyn Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync;
type Answer<V> = Result<Option<V>, DatabaseError>;

/// A key that may stay in memory for longer than a request.
pub trait Remembered: Clone + Eq + Hash + Send + 'static {
    /// The same key, without what could be presented to us.
    #[must_use]
    fn without_secrets(self) -> Self {
        self
    }
}

/// The look-ups of one kind. `V` should be cheap to clone.
pub struct LookUps<K, V>(Way<K, V>);

enum Way<K, V> {
    Sqlite {
        sqlite: Arc<Sqlite>,
        find: Box<Find<K, V>>,
        known: Cache<K, (Version, V)>,
    },
    Postgres(Arc<Batches<K, V>>),
}

impl Database {
    /// Look-ups of what `find` finds here.
    pub fn look_ups<K: Remembered, V: Clone>(
        &self,
        find: impl Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync + 'static,
    ) -> LookUps<K, V> {
        let find = Box::new(find);
        LookUps(match &self.backend {
            Backend::Sqlite(sqlite) => Way::Sqlite {
                sqlite: Arc::clone(sqlite),
                find,
                known: Cache::new(REMEMBERED),
            },
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
            Way::Sqlite {
                sqlite,
                find,
                known,
            } => remember(sqlite, find, known, key),
            Way::Postgres(batches) => batches.get(key).await,
        }
    }
}

fn remember<K: Remembered, V: Clone>(
    sqlite: &Sqlite,
    find: &Find<K, V>,
    known: &Cache<K, (Version, V)>,
    key: K,
) -> Answer<V> {
    // Before the query: a commit in between makes the answer look older than it
    // is, never newer.
    let version = sqlite.version();
    if let Some(version) = &version
        && let Some((seen, value)) = known.get(&key)
        && seen == *version
    {
        return Ok(Some(value));
    }
    let found = sqlite.read(|c| find(c, std::slice::from_ref(&key)))?;
    let found = found.into_iter().next().flatten();
    if let (Some(version), Some(value)) = (version, &found) {
        known.insert(key.without_secrets(), (version, value.clone()));
    }
    Ok(found)
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
        receiver.await.unwrap_or(Err(DatabaseError::NoAnswer))
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
