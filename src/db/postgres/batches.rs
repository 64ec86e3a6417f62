//! Look-ups by key, of which all that wait go into one query. It is sent after the
//! last of them came in, so each answer is newer than its question.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::prelude::QueryResult;
use tokio::sync::oneshot;

use super::Postgres;
use super::generation::Lease;
use crate::db::connection::Connection;
use crate::db::error::DatabaseError;
use crate::db::readable::readable;

/// Keys in one query.
const SIZE: usize = 256;
/// Keys that are refused one after the other before the rest is, too.
const MOST_REFUSED: usize = 3;

/// Looks many keys up in one go: one answer a key, in their order.
pub type Find<K, V> =
    dyn Fn(&mut Connection<'_>, &[K]) -> QueryResult<Vec<Option<V>>> + Send + Sync;
pub type Answer<V> = Result<Option<V>, DatabaseError>;
type Waiting<K, V> = (K, oneshot::Sender<Answer<V>>);

/// The look-ups of one kind.
pub struct Batches<K, V> {
    postgres: Postgres,
    find: Box<Find<K, V>>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    waiting: VecDeque<Waiting<K, V>>,
    /// Whether a thread is at work on them.
    is_served: bool,
}

impl<K, V> Batches<K, V> {
    pub fn new(postgres: Postgres, find: Box<Find<K, V>>) -> Arc<Self> {
        Arc::new(Self {
            postgres,
            find,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_served: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Send + 'static, V: Send + 'static> Batches<K, V> {
    /// What there is under that key, not older than this call.
    pub async fn get(self: &Arc<Self>, key: K) -> Answer<V> {
        let (sender, receiver) = oneshot::channel();
        let is_served = {
            let mut state = self.lock();
            state.waiting.push_back((key, sender));
            std::mem::replace(&mut state.is_served, true)
        };
        if !is_served {
            let service = Service {
                batches: Arc::clone(self),
                is_over: false,
            };
            tokio::spawn(service.start());
        }
        let answer = self.postgres.in_time(receiver).await;
        if matches!(answer, Err(DatabaseError::TimedOut)) {
            // If that thread hangs, the next caller starts another.
            self.lock().is_served = false;
        }
        answer
    }
}

/// One thread's work on them, with one connection, until none waits.
struct Service<K: Send + 'static, V: Send + 'static> {
    batches: Arc<Batches<K, V>>,
    is_over: bool,
}

impl<K: Send + 'static, V: Send + 'static> Service<K, V> {
    async fn start(mut self) {
        match self.batches.postgres.lease().await {
            Ok(lease) => drop(lease.threads().spawn_blocking(move || self.serve(lease))),
            Err(error) => self.refuse(error),
        }
    }

    fn serve(mut self, mut lease: Lease) {
        while let Some(batch) = self.next_batch() {
            let (keys, senders): (Vec<K>, Vec<_>) = batch.into_iter().unzip();
            match self.find(&mut lease, &keys) {
                Ok(found) => {
                    for (sender, found) in senders.into_iter().zip(found) {
                        // An error means that the client has gone.
                        let _ = sender.send(Ok(found));
                    }
                }
                Err(DatabaseError::Query(_)) if keys.len() > 1 => {
                    self.serve_one_by_one(&mut lease, &keys, senders);
                }
                Err(error) => fail(senders, error),
            }
        }
    }

    /// After a refusal, which may be about one key: it must not be everybody's.
    fn serve_one_by_one(
        &self,
        lease: &mut Lease,
        keys: &[K],
        senders: Vec<oneshot::Sender<Answer<V>>>,
    ) {
        let (mut refused, mut asks) = (0, keys.iter().zip(senders));
        for (key, sender) in asks.by_ref() {
            // Whoever has given up, as all do after a few seconds, is not asked for.
            if sender.is_closed() {
                continue;
            }
            match self.find(lease, std::slice::from_ref(key)) {
                Ok(mut found) => {
                    refused = 0;
                    let _ = sender.send(Ok(found.pop().flatten()));
                }
                Err(error) => {
                    refused += 1;
                    if refused == MOST_REFUSED {
                        // It is not about any key.
                        let rest = asks.map(|(_, sender)| sender);
                        return fail(std::iter::once(sender).chain(rest), error);
                    }
                    let _ = sender.send(Err(error));
                }
            }
        }
    }

    /// One query. A row that cannot be read is none, if it is the only one.
    fn find(&self, lease: &mut Lease, keys: &[K]) -> Result<Vec<Option<V>>, DatabaseError> {
        let _running = lease.begin();
        lease.read(|c| {
            let found = (self.batches.find)(c, keys);
            if keys.len() == 1 {
                return Ok(readable(found)?.unwrap_or_else(|| vec![None]));
            }
            found
        })
    }

    fn refuse(&mut self, error: DatabaseError) {
        let waiting = std::mem::take(&mut self.batches.lock().waiting);
        fail(waiting.into_iter().map(|(_, sender)| sender), error);
    }

    /// Those that wait now; `None` ends the service.
    fn next_batch(&mut self) -> Option<Vec<Waiting<K, V>>> {
        let mut state = self.batches.lock();
        let size = state.waiting.len().min(SIZE);
        if size == 0 {
            state.is_served = false;
            self.is_over = true;
            return None;
        }
        Some(state.waiting.drain(..size).collect())
    }
}

/// One error for all of them.
fn fail<V>(senders: impl IntoIterator<Item = oneshot::Sender<Answer<V>>>, error: DatabaseError) {
    let error = Arc::new(error);
    for sender in senders {
        let _ = sender.send(Err(DatabaseError::Shared(Arc::clone(&error))));
    }
}

/// If it ends early, as by a panic, all waiting look-ups fail.
impl<K: Send + 'static, V: Send + 'static> Drop for Service<K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.batches.lock();
            state.is_served = false;
            state.waiting.clear();
        }
    }
}
