//! Which commits there have been, and what ours have changed: how long what was
//! read stays true.
//!
//! Each commit that this process sees is a [`Moment`]. One by somebody else may
//! have changed anything. One of ours has changed what the triggers of the writer's
//! connection have told ([`super::changes`]), and nothing else. So what was read at
//! one moment is true at a later one if all commits in between were ours, and none
//! has touched the row. That a commit was ours alone SQLite's counter says: while
//! our transaction is open nobody else commits, and afterwards it is one more.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::changes::{Changes, Table, Tag};
use super::roll::Roll;
use super::wal_index::{State, Version, WalIndex};

/// Places for what was touched last. Tags that share one are taken for the same.
const PLACES: usize = 16_384;

/// A state of the database, of those that this process has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::db) struct Moment(pub(super) u64);

/// How the log stands, and what moment it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct Standing {
    pub(super) version: Version,
    pub(super) awaits_checkpoint: bool,
    /// `None` while it is not known whose the last commit was.
    pub(in crate::db) moment: Option<Moment>,
}

/// What something that was read depends on, and when it was read.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct Stamp {
    pub(in crate::db) seen: Moment,
    pub(in crate::db) tags: [Tag; 2],
}

/// The commits to one database.
pub(super) struct Commits {
    index: Option<WalIndex>,
    newest: Newest,
    turn: Mutex<Turn>,
    /// The moment after the last commit of somebody else, or that we cannot tell of.
    since: AtomicU64,
    /// For each place, the last moment that touched something there.
    touched: Box<[AtomicU64]>,
    changes: Arc<Changes>,
    rolls: Vec<Roll>,
}

#[derive(Default)]
struct Turn {
    /// Whether a transaction of ours is open, or not accounted for yet.
    is_writing: bool,
}

impl Commits {
    /// Of a database that a connection of this process has open.
    pub(super) fn new(path: &Path) -> Self {
        let commits = Self {
            index: WalIndex::open(path),
            newest: Newest::default(),
            turn: Mutex::default(),
            since: AtomicU64::default(),
            touched: std::iter::repeat_with(AtomicU64::default)
                .take(PLACES)
                .collect(),
            changes: Arc::default(),
            rolls: Table::ALL.map(Roll::new).into(),
        };
        commits.standing();
        commits
    }

    /// What the writer's connection tells its changes to.
    pub(super) fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// The keys that a table has.
    pub(super) fn roll(&self, table: Table) -> Option<&Roll> {
        self.rolls.get(table as usize)
    }

    /// How the log stands now; `None` if that cannot be told.
    pub(super) fn standing(&self) -> Option<Standing> {
        let state = self.index.as_ref()?.state()?;
        match self.newest.moment_of(state.version) {
            None => self.caught_up(),
            moment => Some(standing(state, moment)),
        }
    }

    /// The same after a commit, which was somebody else's unless we are at one.
    #[cold]
    fn caught_up(&self) -> Option<Standing> {
        let turn = self.lock();
        let state = self.index.as_ref()?.state()?;
        let moment = match self.newest.moment_of(state.version) {
            None if turn.is_writing => None,
            None => Some(self.advance_unknown(state.version)),
            moment => moment,
        };
        Some(standing(state, moment))
    }

    /// Whether what has that stamp is true at that moment.
    pub(super) fn still_holds(&self, stamp: Stamp, now: Moment) -> bool {
        let is_old = |tag: &Tag| self.last_touched(*tag) <= stamp.seen.0;
        stamp.seen == now
            || (stamp.seen.0 >= self.since.load(Ordering::Relaxed) && stamp.tags.iter().all(is_old))
    }

    /// Whether what holds for a whole table, and is told of our commits, still does.
    pub(super) fn goes_on_since(&self, moment: Moment) -> bool {
        moment.0 >= self.since.load(Ordering::Relaxed)
    }

    /// The writer's transaction has begun. `tells`: whether its connection has told
    /// of all changes that it will commit.
    pub(super) fn write(&self, tells: bool) -> Writing<'_> {
        let mut turn = self.lock();
        turn.is_writing = true;
        // All ours are accounted for, so what is new here is somebody else's.
        let state = self.index.as_ref().and_then(WalIndex::state);
        let before = state.map(|state| state.version);
        if let Some(version) = before
            && self.newest.moment_of(version).is_none()
        {
            self.advance_unknown(version);
        }
        Writing {
            commits: self,
            before,
            tells,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        // Nothing that can panic runs under the lock.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_touched(&self, tag: Tag) -> u64 {
        let touched = self.touched.get(tag.place(PLACES));
        touched.map_or(u64::MAX, |touched| touched.load(Ordering::Relaxed))
    }

    /// The moment of a commit that may have changed anything.
    fn advance_unknown(&self, version: Version) -> Moment {
        let next = self.newest.next();
        self.since.store(next.0, Ordering::Relaxed);
        self.newest.advance(version);
        next
    }

    /// The moment of one that has changed only that.
    fn advance_touching(&self, version: Version, changed: &[(Table, Tag)]) {
        let next = self.newest.next();
        for (table, tag) in changed {
            if let Some(touched) = self.touched.get(tag.place(PLACES)) {
                touched.store(next.0, Ordering::Relaxed);
            }
            if let Some(roll) = self.roll(*table) {
                roll.add(*tag);
            }
        }
        self.newest.advance(version);
    }
}

const fn standing(state: State, moment: Option<Moment>) -> Standing {
    Standing {
        version: state.version,
        awaits_checkpoint: state.awaits_checkpoint,
        moment,
    }
}

/// A transaction of ours, until it is accounted for: however it ended.
pub(super) struct Writing<'a> {
    commits: &'a Commits,
    before: Option<Version>,
    tells: bool,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let commits = self.commits;
        let changed = commits.changes.take();
        let mut turn = commits.lock();
        turn.is_writing = false;
        let state = commits.index.as_ref().and_then(WalIndex::state);
        match (self.before, state.map(|state| state.version), changed) {
            (Some(before), Some(after), _) if before == after => {}
            (Some(before), Some(after), Some(changed))
                if self.tells && after.is_next_after(before) =>
            {
                commits.advance_touching(after, &changed);
            }
            (_, Some(after), _) => {
                commits.advance_unknown(after);
            }
            // In the middle of somebody else's commit. No header is all zeros.
            (_, None, _) => {
                commits.advance_unknown(Version([0; 6]));
            }
        }
    }
}

/// The newest moment and its version, for many readers and one who writes: a
/// sequence lock. The number is odd while it is being written.
#[derive(Default)]
struct Newest {
    number: AtomicU64,
    version: [AtomicU64; 6],
}

impl Newest {
    /// The newest moment, if that is its version.
    fn moment_of(&self, version: Version) -> Option<Moment> {
        let number = self.number.load(Ordering::Acquire);
        let is_same = self
            .version
            .iter()
            .zip(version.0)
            .all(|(word, expected)| word.load(Ordering::Relaxed) == expected);
        fence(Ordering::Acquire);
        let is_whole = number.is_multiple_of(2) && self.number.load(Ordering::Relaxed) == number;
        (is_same && is_whole).then_some(Moment(number))
    }

    fn next(&self) -> Moment {
        Moment(self.number.load(Ordering::Relaxed) + 2)
    }

    /// By one thread at a time only.
    fn advance(&self, version: Version) {
        let next = self.next().0;
        self.number.store(next - 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, new) in self.version.iter().zip(version.0) {
            word.store(new, Ordering::Relaxed);
        }
        self.number.store(next, Ordering::Release);
    }
}
