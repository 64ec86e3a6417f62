//! All keys of a table, so that one which nobody has needs no look-up.
//!
//! It is read when so many unknown keys were looked for that this is cheaper, and
//! our own commits add to it. It may hold keys that are gone, never lack one that is
//! there. A commit of somebody else makes it worthless.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use diesel::prelude::{QueryResult, RunQueryDsl};
use diesel::sql_types::{Binary, Nullable};

use super::changes::{Table, Tag};
use super::commits::{Commits, Moment};
use super::reader::Readers;
use crate::db::Connection;

/// Keys that are read at most, of about 18 bytes each; ours may double them. With more, what a good key costs is beyond
/// what one costs that nobody has.
const MOST: usize = 65_536;
/// Unknown keys that make it worth while to read a table of no size.
const WORTH_WHILE: usize = 64;
/// To look for one key takes as long as to read so many.
const KEYS_A_LOOK_UP: usize = 4;

pub(super) struct Roll {
    table: Table,
    state: RwLock<State>,
    /// Unknown keys that were looked for since it was last read.
    missed: AtomicUsize,
    /// Of them, so many make it worth while to read it.
    patience: AtomicUsize,
}

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    /// What was touched since before the keys were read, if it was not too much.
    BeingRead(Option<HashSet<Tag>>),
    Known {
        since: Moment,
        keys: HashSet<Tag>,
    },
}

impl Roll {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            state: RwLock::default(),
            missed: AtomicUsize::default(),
            patience: AtomicUsize::new(WORTH_WHILE),
        }
    }

    /// Whether the table has none of these keys, at the newest moment or since. Who
    /// would have to wait for the answer is told `false`.
    pub(super) fn lacks(&self, commits: &Commits, tags: &[Tag]) -> bool {
        match self.state.try_read().as_deref() {
            Ok(State::Known { since, keys }) => {
                commits.goes_on_since(*since) && !tags.iter().any(|tag| keys.contains(tag))
            }
            Ok(State::Unknown | State::BeingRead(_)) | Err(_) => false,
        }
    }

    /// An unknown key had to be looked for; whether to read all of them now.
    pub(super) fn miss(&self) -> bool {
        let missed = self.missed.fetch_add(1, Ordering::Relaxed) + 1;
        if missed < self.patience.load(Ordering::Relaxed) {
            return false;
        }
        self.missed.store(0, Ordering::Relaxed);
        true
    }

    /// A commit of ours has touched all that.
    pub(super) fn add(&self, changed: &[(Table, Tag)]) {
        let of_table = |(table, tag): &(Table, Tag)| (*table == self.table).then_some(*tag);
        let mut state = self.lock();
        let keys = match &mut *state {
            State::Unknown | State::BeingRead(None) => return,
            State::BeingRead(Some(keys)) | State::Known { keys, .. } => keys,
        };
        keys.extend(changed.iter().filter_map(of_table));
        if keys.len() > 2 * MOST {
            *state = match *state {
                State::BeingRead(_) => State::BeingRead(None),
                _ => State::Unknown,
            };
        }
    }

    /// Reads the keys. It takes its time.
    pub(super) fn fill(&self, commits: &Commits, readers: &Readers) {
        if !self.begin() {
            return;
        }
        // From here on we are told of what is touched, so nothing is missed.
        let since = commits.standing().and_then(|standing| standing.moment);
        let found = since.and_then(|_| readers.read(|c| self.read(c)).ok());
        let rows = found.as_ref().map(Vec::len);
        let is_whole = rows.is_some_and(|rows| rows <= MOST);
        let patience = match rows {
            // Not again for a while.
            Some(rows) if !is_whole => rows * KEYS_A_LOOK_UP,
            Some(rows) => (rows / KEYS_A_LOOK_UP).max(WORTH_WHILE),
            None => WORTH_WHILE,
        };
        let tag = |key: Key| {
            let key = key.key.unwrap_or_default();
            commits.changes().tag(self.table, &key)
        };
        let mut keys: HashSet<Tag> = found.into_iter().flatten().map(tag).collect();
        self.patience.store(patience, Ordering::Relaxed);
        let mut state = self.lock();
        if let (State::BeingRead(Some(touched)), Some(since), true) =
            (std::mem::take(&mut *state), since, is_whole)
        {
            keys.extend(touched);
            *state = State::Known { since, keys };
        }
    }

    fn begin(&self) -> bool {
        let mut state = self.lock();
        let is_free = !matches!(*state, State::BeingRead(_));
        if is_free {
            *state = State::BeingRead(Some(HashSet::new()));
        }
        is_free
    }

    fn read(&self, connection: &mut Connection<'_>) -> QueryResult<Vec<Key>> {
        let (table, key) = self.table.names();
        let limit = MOST + 1;
        let query = format!("SELECT CAST({key} AS BLOB) AS key FROM {table} LIMIT {limit}");
        match connection {
            Connection::Sqlite(c) => diesel::sql_query(query).load(&mut **c),
            Connection::Postgres(_) => Ok(Vec::new()),
        }
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        // Each change of the state is whole.
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key as it stands in the table, whatever it is made of.
#[derive(diesel::QueryableByName)]
pub(super) struct Key {
    #[diesel(sql_type = Nullable<Binary>)]
    key: Option<Vec<u8>>,
}
