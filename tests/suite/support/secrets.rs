//! What is logged, at the finest level, and the secrets that are used meanwhile:
//! the one must not hold the other. Each test looks for its own secrets.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use aho_corasick::AhoCorasick;
use tracing_subscriber::EnvFilter;

use super::app::{PASSWORD, SECRET_KEY};

/// What the tests' own HTTP clients log, in this same process, is not ours.
const FILTER: &str = "trace,hyper=off,hyper_util=off,reqwest=off,tower=off,cookie_store=off";

/// The log of this process, and of the programs that it has run.
static LOG: OnceLock<File> = OnceLock::new();
/// Noted where no test is watched; each test looks for these too.
static SHARED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

thread_local! {
    /// Noted by the test that runs on this thread.
    static OWN: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

/// Notes a text that must never be logged. A short one would be found by
/// chance.
pub fn note(secret: &str) {
    if secret.len() < 12 {
        return;
    }
    OWN.with_borrow_mut(|own| match own {
        Some(own) => drop(own.insert(secret.to_owned())),
        None => drop(SHARED.lock().unwrap().insert(secret.to_owned())),
    });
}

/// Runs a test. None of its secrets may be in what was logged meanwhile.
pub fn watch(test: impl FnOnce()) {
    let log = LOG.get_or_init(capture);
    let start = length(log);
    OWN.set(Some(BTreeSet::new()));
    test();
    assert_none_in(&logged_since(start));
    OWN.set(None);
}

/// Logs into a file from now on, which is gone with the process.
fn capture() -> File {
    let log = tempfile::tempfile().expect("the log");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(FILTER))
        .with_ansi(false)
        .with_writer(Mutex::new(log.try_clone().expect("the log")))
        .init();
    log
}

/// Adds what a program has said, in which there must be no secret either.
pub fn add_to_log(text: &[u8]) {
    if let Some(mut log) = LOG.get() {
        log.write_all(text).expect("the log");
    }
    if !text.is_empty() && !std::thread::panicking() {
        assert_none_in(text);
    }
}

/// How long the log is by now.
pub fn length_of_log() -> u64 {
    LOG.get().map_or(0, length)
}

fn length(log: &File) -> u64 {
    log.metadata().expect("the log").len()
}

pub fn logged_since(start: u64) -> Vec<u8> {
    let log = LOG.get().expect("a log");
    let length = usize::try_from(length(log) - start).expect("a length");
    let mut bytes = vec![0; length];
    log.read_exact_at(&mut bytes, start).expect("the log");
    bytes
}

/// What this test has noted, and what all use.
pub fn noted() -> BTreeSet<String> {
    let mut noted = SHARED.lock().unwrap().clone();
    noted.extend([PASSWORD, SECRET_KEY].map(str::to_owned));
    noted.extend(OWN.with_borrow(|own| own.clone().unwrap_or_default()));
    noted
}

/// Keeps the log where it fails.
fn assert_none_in(log: &[u8]) {
    let searcher = AhoCorasick::new(noted()).expect("a searcher");
    let found: Vec<String> = searcher
        .find_iter(log)
        .take(5)
        .map(|found| {
            let from = found.start().saturating_sub(200);
            String::from_utf8_lossy(&log[from..found.end()]).into_owned()
        })
        .collect();
    if !found.is_empty() {
        let name = format!("secrets-{}.log", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, log).expect("the log");
        panic!("a secret was logged, see {}: {found:#?}", path.display());
    }
}
