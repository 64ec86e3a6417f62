//! Which commits there have been, and what ours have changed: how long what was
//! read stays true.
//!
//! Each commit that this process sees is a [`Moment`]. One by somebody else may
//! have changed anything. One of ours has changed what the triggers of the writer's
//! connection have told ([`super::changes`]), and nothing else. So what was read at
//! one moment is true at a later one if all commits in between were ours, and none
//! has touched the row. That nobody else has committed in between SQLite says, by
//! `PRAGMA data_version` on the writer's connection ([`super::Writer`]).

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::changes::{Changes, Table, Tag};
use super::roll::Roll;
use super::wal_index::{HEADER, State, Version, WalIndex};

/// Places for what was touched last. Tags that share one are taken for the same.
const PLACES: usize = 16_384;

/// A state of the database, of those that this process has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::db) struct Moment(pub(super) u64);

/// How the log stands, and what moment it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct Standing {
    pub(super) state: State,
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
    /// Whether the keys that are told are those that are asked for.
    tells: AtomicBool,
    rolls: [Roll; 3],
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
            tells: AtomicBool::default(),
            rolls: Table::ALL.map(Roll::new),
        };
        commits.standing();
        commits
    }

    /// What the writer's connection tells its changes to.
    pub(super) fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Whether the writer's connection tells of all that it changes.
    pub(super) fn set_tells(&self, tells: bool) {
        self.tells.store(tells, Ordering::Relaxed);
    }

    /// The keys that a table has, where that can be known.
    pub(super) fn roll(&self, table: Table) -> Option<&Roll> {
        let tells = self.tells.load(Ordering::Relaxed);
        self.rolls.get(table as usize).filter(|_| tells)
    }

    /// How the log stands now; `None` if that cannot be told.
    pub(super) fn standing(&self) -> Option<Standing> {
        let state = self.index.as_ref()?.state()?;
        match self.newest.moment_of(state.version) {
            None => self.caught_up(),
            moment => Some(Standing { state, moment }),
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
        Some(Standing { state, moment })
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

    /// The writer's transaction has begun.
    pub(super) fn write(&self) -> Writing<'_> {
        let mut turn = self.lock();
        turn.is_writing = true;
        // All ours are accounted for, so what is new here is somebody else's.
        let before = self.version();
        if let Some(version) = before
            && self.newest.moment_of(version).is_none()
        {
            self.advance_unknown(version);
        }
        Writing {
            commits: self,
            before,
            after: None,
            is_told: false,
        }
    }

    fn version(&self) -> Option<Version> {
        let state = self.index.as_ref()?.state()?;
        Some(state.version)
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
        for (_, tag) in changed {
            if let Some(touched) = self.touched.get(tag.place(PLACES)) {
                touched.store(next.0, Ordering::Relaxed);
            }
        }
        for roll in &self.rolls {
            roll.add(changed);
        }
        self.newest.advance(version);
    }
}

/// A transaction of ours, until it is accounted for: however it ended.
pub(super) struct Writing<'a> {
    commits: &'a Commits,
    before: Option<Version>,
    after: Option<Version>,
    /// Whether all that was committed between the two is known.
    is_told: bool,
}

impl Writing<'_> {
    /// It is over. `is_told`, which is asked after a look at the log: whether nobody
    /// else has committed since it began, and all changes were told.
    pub(super) fn end(mut self, is_told: impl FnOnce() -> bool) {
        self.after = self.commits.version();
        self.is_told = is_told();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let commits = self.commits;
        let changed = commits.changes.take().filter(|_| self.is_told);
        let mut turn = commits.lock();
        turn.is_writing = false;
        match (self.after, changed) {
            (after, _) if after.is_some() && after == self.before => {}
            (Some(after), Some(changed)) if self.before.is_some() => {
                commits.advance_touching(after, &changed);
            }
            // Where it cannot be told: no header is all zeros.
            (after, _) => {
                commits.advance_unknown(after.unwrap_or(Version([0; HEADER])));
            }
        }
    }
}

/// The newest moment and its version, for many readers and one who writes: a
/// sequence lock. The number is odd while it is being written.
#[derive(Default)]
struct Newest {
    number: AtomicU64,
    version: [AtomicU32; HEADER],
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

#[cfg(test)]
mod tests {
    use diesel::connection::{Connection as _, SimpleConnection};
    use diesel::sqlite::SqliteConnection;

    use super::super::changes::{data_version, tell_of};
    use super::*;
    use crate::db::{Database, DatabaseUrl, UserTable};

    struct Fixture {
        _folder: tempfile::TempDir,
        commits: Commits,
        ours: SqliteConnection,
        other: SqliteConnection,
    }

    const INSERT: &str = "INSERT INTO django_session VALUES ('a', '', '')";
    const UPDATE: &str = "UPDATE django_session SET expire_date = 'x'";

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let users = UserTable::parse("accounts_customuser").unwrap();
            Database::migrate(&DatabaseUrl::Sqlite(path.clone()), &users).unwrap();
            let connect = || {
                let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                let wal = "PRAGMA journal_mode = WAL; SELECT 1 FROM sqlite_schema";
                connection.batch_execute(wal).unwrap();
                connection
            };
            let (mut ours, other) = (connect(), connect());
            let commits = Commits::new(&path);
            tell_of(&mut ours, &users, commits.changes()).unwrap();
            Self {
                _folder: folder,
                commits,
                ours,
                other,
            }
        }

        fn stamp(&self, key: &str) -> Stamp {
            let tag = self.commits.changes().tag(Table::Sessions, key.as_bytes());
            Stamp {
                seen: self.now().unwrap(),
                tags: [tag; 2],
            }
        }

        fn now(&self) -> Option<Moment> {
            self.commits.standing().unwrap().moment
        }

        fn still_holds(&self, stamp: Stamp) -> bool {
            self.commits.still_holds(stamp, self.now().unwrap())
        }

        /// A transaction of ours with those statements, the last of which ends it;
        /// then comes one of somebody else, if there is a statement for it.
        fn write(&mut self, statements: &[&str], then: Option<&str>) {
            self.ours.batch_execute("BEGIN IMMEDIATE").unwrap();
            let before = data_version(&mut self.ours).unwrap();
            let writing = self.commits.write();
            for statement in statements {
                self.ours.batch_execute(statement).unwrap();
            }
            if let Some(statement) = then {
                self.other.batch_execute(statement).unwrap();
                // Whose the last one was is not known yet.
                assert_eq!(self.commits.standing().unwrap().moment, None);
            }
            writing.end(|| data_version(&mut self.ours).unwrap() == before);
        }
    }

    #[test]
    fn ours_end_what_they_touch() {
        let mut fixture = Fixture::new();
        let [a, b] = ["a", "b"].map(|key| fixture.stamp(key));
        fixture.write(&[INSERT, "COMMIT"], None);
        assert!(!fixture.still_holds(a));
        assert!(fixture.still_holds(b));
        assert!(fixture.now().unwrap() > b.seen);
    }

    #[test]
    fn what_is_rolled_back_ends_nothing() {
        let mut fixture = Fixture::new();
        let a = fixture.stamp("a");
        fixture.write(&[INSERT, "ROLLBACK"], None);
        assert!(fixture.still_holds(a));
        assert_eq!(fixture.now(), Some(a.seen));
        fixture.write(&["COMMIT"], None);
        assert_eq!(fixture.now(), Some(a.seen), "nor does what changes nothing");
    }

    #[test]
    fn what_is_not_accounted_for_ends_everything() {
        let mut fixture = Fixture::new();
        let b = fixture.stamp("b");
        fixture.ours.batch_execute("BEGIN IMMEDIATE").unwrap();
        let writing = fixture.commits.write();
        fixture.ours.batch_execute(INSERT).unwrap();
        fixture.ours.batch_execute("COMMIT").unwrap();
        drop(writing);
        assert!(!fixture.still_holds(b));
    }

    #[test]
    fn somebody_elses_end_everything_whenever_they_come() {
        let mut fixture = Fixture::new();
        fixture.other.batch_execute(INSERT).unwrap();
        let b = fixture.stamp("b");
        fixture.other.batch_execute(UPDATE).unwrap();
        assert!(!fixture.still_holds(b));

        // Before ours has begun, and noticed by nobody else.
        let b = fixture.stamp("b");
        fixture.other.batch_execute(UPDATE).unwrap();
        fixture.write(&[UPDATE, "COMMIT"], None);
        assert!(!fixture.still_holds(b));

        // After ours, before that is accounted for; also where ours was none.
        for ours in [&[UPDATE, "COMMIT"][..], &["COMMIT"], &[UPDATE, "ROLLBACK"]] {
            let b = fixture.stamp("b");
            fixture.write(ours, Some(UPDATE));
            assert!(!fixture.still_holds(b), "{ours:?}");
        }
    }

    #[test]
    fn too_many_changes_are_like_somebody_elses() {
        let mut fixture = Fixture::new();
        let b = fixture.stamp("b");
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 70000)
             INSERT INTO django_session SELECT 'k' || i, '', '' FROM n";
        fixture.write(&[many, "COMMIT"], None);
        assert!(!fixture.still_holds(b));
    }

    /// As Django's migrations do it on SQLite.
    #[test]
    fn a_table_that_somebody_makes_anew_is_told_of_too() {
        let mut fixture = Fixture::new();
        fixture.other.batch_execute(INSERT).unwrap();
        let anew = "CREATE TABLE new (session_key PRIMARY KEY, session_data, expire_date, more);
             INSERT INTO new SELECT *, 1 FROM django_session;
             DROP TABLE django_session;
             ALTER TABLE new RENAME TO django_session";
        fixture.other.batch_execute(anew).unwrap();
        let [a, b] = ["a", "b"].map(|key| fixture.stamp(key));
        fixture.write(&[UPDATE, "COMMIT"], None);
        assert!(!fixture.still_holds(a));
        assert!(fixture.still_holds(b));
    }

    #[test]
    fn a_user_is_told_of_through_a_view_too_and_with_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let theirs = UserTable::parse("auth_user").unwrap();
        let ours = UserTable::parse("accounts_customuser").unwrap();
        Database::migrate(&DatabaseUrl::Sqlite(path.clone()), &ours).unwrap();
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        for statements in [
            "ALTER TABLE accounts_customuser RENAME TO auth_user;
             INSERT INTO auth_user VALUES (7, '', NULL, 0, 'a', '', '', '', 0, 1, '');
             INSERT INTO authtoken_token VALUES ('k', '', 7)",
            &theirs.sqlite_setup().unwrap(),
        ] {
            connection.batch_execute(statements).unwrap();
        }
        let changes = Arc::<Changes>::default();
        tell_of(&mut connection, &theirs, &changes).unwrap();

        let update = "UPDATE accounts_customuser SET password = 'x' WHERE id = 7";
        connection.batch_execute(update).unwrap();

        let changed = changes.take().unwrap();
        for (table, key) in [(Table::Users, "7"), (Table::Tokens, "k")] {
            assert!(changed.contains(&(table, changes.tag(table, key.as_bytes()))));
        }
    }
}
