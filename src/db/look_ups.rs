//! The look-ups by key that every request makes: each answer is as new as its question.
//!
//! On SQLite a look-up runs at once, on the calling thread, in a snapshot that it may
//! share with those before it ([`super::sqlite`]). On PostgreSQL all look-ups that wait
//! go into one query, sent after the last of them came in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::prelude::QueryResult;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::database::{Backend, Database};
use super::error::DatabaseError;
use super::postgres::{Pooled, Postgres, in_time};
use super::sqlite::Sqlite;

/// Keys in one query.
const BATCH: usize = 256;

/// Looks many keys up in one go: one answer a key, in their order.
type Find<K, V> = dyn Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync;
type Answer<V> = Result<Option<V>, DatabaseError>;

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
            Backend::Postgres(postgres) => Way::Postgres(Arc::new(Batches {
                postgres: postgres.clone(),
                find,
                state: Mutex::default(),
            })),
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
    K: Send + 'static,
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

impl<K, V> Service<K, V> {
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
