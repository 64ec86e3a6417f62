//! SQLite's file cannot be written to: the disk is full, the file is read-only, or
//! another process holds the lock.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use each_database::each_database;

use crate::drill::Tally;
use crate::kill::assert_sound;
use crate::people::{Load, Person, recovered, verify};
use crate::server::serve_by;
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::Serving;

const PEOPLE: u64 = 8;
const ROUNDS: u64 = 3;
/// How long people work before it.
const BEFORE: Duration = Duration::from_millis(200);
/// How long a fault lasts, where its length is not what it is about.
const FAULT: Duration = Duration::from_secs(1);
/// Longest time that a check may wait meanwhile.
const CHECK: Duration = Duration::from_secs(1);
/// How long the server itself waits for another process's lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

#[each_database(sqlite)]
async fn full_disk(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    // Without the trap, the signal of a file that is too long kills.
    let ignoring = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let serving = serve_by(&ignoring, &database, folder.path());
    let mut people = all_logged_in(&database, &serving).await;
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        // From no room at all to room for what is there already.
        let log = database.folder().unwrap().join("test.db-wal");
        let room = log.metadata().unwrap().len() * round / (ROUNDS - 1);
        let mut work = Work::begin(people, &serving);
        work.go_on(&serving, BEFORE).await;
        let full = FullDisk::of(&serving, room);
        work.go_on(&serving, FAULT).await;
        drop(full);
        people = work
            .end(&serving, &database, Instant::now(), &mut tally)
            .await;
    }
    tally.add(people);
    assert!(tally.seen.refused > 0, "nothing was refused");
    tally.report("disk full", &backend);
}

/// No file of that process may become longer, until this is dropped.
struct FullDisk {
    process: String,
}

impl FullDisk {
    fn of(serving: &Serving, room: u64) -> Self {
        let process = serving.process.id().to_string();
        let disk = Self { process };
        disk.limit(&room.to_string());
        disk
    }

    fn limit(&self, length: &str) {
        let status = Command::new("prlimit")
            .args(["--pid", &self.process])
            .arg(format!("--fsize={length}:unlimited"))
            .status();
        assert!(status.expect("prlimit").success());
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        self.limit("unlimited");
    }
}

/// What is open stays writable, so it is a server started later that finds it so.
/// It has to be started again when the file is writable: SQLite lets no connection
/// of a process write while another one could only read.
#[each_database(sqlite)]
async fn read_only(backend: Backend) {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let files = database.folder().unwrap();
    // Root may write whatever is read-only.
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let is_root = rustix::process::geteuid().is_root();
    let unprivileged: &[&str] = if is_root { &nobody } else { &["env"] };
    if is_root {
        for path in [files, folder.path()] {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        }
    }
    let start = || serve_by(unprivileged, &database, folder.path());
    let mut serving = start();
    let mut people = all_logged_in(&database, &serving).await;
    let mut tally = Tally::default();
    for _ in 0..ROUNDS {
        let mut work = Work::begin(people, &serving);
        work.go_on(&serving, BEFORE).await;
        kill(&mut serving);
        let protected = ReadOnly::make(files);
        serving = start();
        work.load.ask(&[serving.url()]);
        work.go_on(&serving, FAULT).await;
        let ended = Instant::now();
        kill(&mut serving);
        drop(protected);
        serving = start();
        work.load.ask(&[serving.url()]);
        people = work.end(&serving, &database, ended, &mut tally).await;
    }
    tally.add(people);
    assert!(tally.seen.refused > 0, "nothing was refused");
    tally.report("database made read-only", &backend);
}

fn kill(serving: &mut Serving) {
    serving.process.kill().unwrap();
    serving.process.wait().unwrap();
}

/// A folder and all in it are read-only until this is dropped.
struct ReadOnly {
    folder: PathBuf,
}

impl ReadOnly {
    fn make(folder: &Path) -> Self {
        let folder = folder.to_owned();
        let protected = Self { folder };
        protected.set_modes(0o400, 0o500);
        protected
    }

    fn set_modes(&self, file: u32, folder: u32) {
        for path in within(&self.folder) {
            std::fs::set_permissions(path, Permissions::from_mode(file)).unwrap();
        }
        std::fs::set_permissions(&self.folder, Permissions::from_mode(folder)).unwrap();
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        self.set_modes(0o600, 0o700);
    }
}

fn within(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[each_database(sqlite)]
async fn locked_for_3_seconds(backend: Backend) {
    let tally = locked(&backend, Duration::from_secs(3)).await;
    tally.report("write lock held elsewhere for 3 s", &backend);
}

#[each_database(sqlite)]
async fn locked_for_8_seconds(backend: Backend) {
    let tally = locked(&backend, Duration::from_secs(8)).await;
    tally.report("write lock held elsewhere for 8 s", &backend);
}

async fn locked(backend: &Backend, time: Duration) -> Tally {
    let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
    let serving = serve_by(&["env"], &database, folder.path());
    let people = all_logged_in(&database, &serving).await;
    let mut tally = Tally::default();
    let mut work = Work::begin(people, &serving);
    work.go_on(&serving, BEFORE).await;
    let lock = Lock::take(&database);
    work.go_on(&serving, time).await;
    drop(lock);
    let people = work
        .end(&serving, &database, Instant::now(), &mut tally)
        .await;
    tally.add(people);
    let waited = tally.seen.slowest;
    assert!(
        waited > time.min(LOCK_WAIT) / 2,
        "nobody waited for the lock"
    );
    assert!(waited < 2 * LOCK_WAIT, "somebody waited for {waited:?}");
    // Who has waited for less than that may still be let in.
    assert!(
        time < LOCK_WAIT || tally.seen.refused > 0,
        "nothing was refused"
    );
    tally
}

/// Another program's hold on all writes.
struct Lock(SqliteConnection);

impl Lock {
    fn take(database: &TestDatabase) -> Self {
        let mut c = SqliteConnection::establish(&database.url()).unwrap();
        c.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
            .unwrap();
        Self(c)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.batch_execute("ROLLBACK").unwrap();
    }
}

/// People at work, and one who only asks, and must be answered each time.
struct Work {
    load: Load,
    asking: Person,
}

impl Work {
    fn begin(mut people: Vec<Person>, serving: &Serving) -> Self {
        Self {
            asking: people.pop().unwrap(),
            load: Load::start(people, &[serving.url()]),
        }
    }

    async fn go_on(&mut self, serving: &Serving, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            let asked = Instant::now();
            self.asking.verify(&serving.url()).await;
            let waited = asked.elapsed();
            assert!(waited < CHECK, "checks take {waited:?}");
        }
    }

    /// Waits until it is over, and verifies what they were answered.
    async fn end(
        mut self,
        serving: &Serving,
        database: &TestDatabase,
        since: Instant,
        tally: &mut Tally,
    ) -> Vec<Person> {
        let urls = [serving.url()];
        tally.recovered_in(recovered(&mut self.asking, &urls, since).await);
        let mut people = self.load.stop().await;
        people.push(self.asking);
        verify(&mut people, &urls).await;
        assert_sound(database);
        tally.rounds += 1;
        people
    }
}

async fn all_logged_in(database: &TestDatabase, serving: &Serving) -> Vec<Person> {
    let mut people = Person::create(database, PEOPLE);
    for person in &mut people {
        person.log_in(&serving.url()).await;
    }
    people
}
