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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    use diesel::sqlite::SqliteConnection;

    use super::*;
    use crate::db::{DatabaseUrl, UserTable};

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Number(usize);

    impl Remembered for Number {}

    struct Fixture {
        _folder: tempfile::TempDir,
        other: SqliteConnection,
        look_ups: LookUps<Number, usize>,
        asked: Arc<AtomicUsize>,
    }

    impl Fixture {
        /// A database where even numbers are found, and another connection.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let users = UserTable::parse("accounts_customuser").unwrap();
            let database = Database::open(&DatabaseUrl::Sqlite(path.clone()), &users, 1).unwrap();
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let look_ups = database.look_ups(move |_, keys: &[Number]| {
                count.fetch_add(keys.len(), Ordering::Relaxed);
                let even = |Number(n): &Number| n.is_multiple_of(2).then_some(*n);
                Ok(keys.iter().map(even).collect())
            });
            let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            other.batch_execute("CREATE TABLE t (x INTEGER)").unwrap();
            Self {
                _folder: folder,
                other,
                look_ups,
                asked,
            }
        }

        /// What is found, and how many times the database was asked for it.
        fn get(&self, number: usize) -> (Option<usize>, usize) {
            let before = self.asked.load(Ordering::Relaxed);
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.build().unwrap();
            let found = runtime.block_on(self.look_ups.get(Number(number)));
            let asked = self.asked.load(Ordering::Relaxed) - before;
            (found.unwrap(), asked)
        }

        fn remembered(&self) -> usize {
            match &self.look_ups.0 {
                Way::Sqlite { known, .. } => known.len(),
                Way::Postgres(_) => 0,
            }
        }
    }

    #[test]
    fn a_row_is_remembered_until_somebody_commits() {
        let mut fixture = Fixture::new();
        for statement in [
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET x = 2",
            "DELETE FROM t",
            "PRAGMA user_version = 7",
            "VACUUM",
            "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (1)",
        ] {
            assert_eq!(fixture.get(2), (Some(2), 1), "before: {statement}");
            assert_eq!(fixture.get(2), (Some(2), 0), "before: {statement}");
            fixture.other.batch_execute(statement).unwrap();
        }
        assert_eq!(fixture.get(2), (Some(2), 1));
    }

    #[test]
    fn what_changes_nothing_is_no_commit() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.get(2), (Some(2), 1));
        for statement in [
            "SELECT * FROM t",
            "BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK",
        ] {
            fixture.other.batch_execute(statement).unwrap();
            assert_eq!(fixture.get(2), (Some(2), 0), "{statement}");
        }
    }

    #[test]
    fn what_is_not_there_is_asked_for_each_time() {
        let fixture = Fixture::new();
        for _ in 0..3 {
            assert_eq!(fixture.get(1), (None, 1));
        }
        assert_eq!(fixture.remembered(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let fixture = Fixture::new();
        for number in 0..3 * REMEMBERED {
            fixture.get(2 * number);
        }
        assert!(fixture.remembered() <= REMEMBERED);
        assert!(fixture.remembered() > REMEMBERED / 2);
    }
}
