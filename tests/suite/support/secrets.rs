//! Everything that is logged while the suite runs, at the finest level, and
//! every secret that was used meanwhile: the one must not hold the other.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};

use aho_corasick::AhoCorasick;
use tracing_subscriber::EnvFilter;

use super::app::{PASSWORD, SECRET_KEY};

/// What the tests' own HTTP clients log, in this same process, is not ours.
const FILTER: &str = "trace,hyper=off,hyper_util=off,reqwest=off,tower=off,cookie_store=off";

static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static LOG: OnceLock<PathBuf> = OnceLock::new();

/// Notes a text that must never be logged. A short one would be found by
/// chance.
pub fn note(secret: &str) {
    if secret.len() >= 12 {
        SECRETS.lock().unwrap().insert(secret.to_owned());
    }
}

/// Logs into a file from now on.
pub fn capture() {
    let name = format!("suite-{}.log", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = File::create(&path).expect("the log");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(FILTER))
        .with_ansi(false)
        .with_writer(Mutex::new(BufWriter::with_capacity(0, file)))
        .init();
    LOG.set(path).expect("one log");
    note(PASSWORD);
    note(SECRET_KEY);
}

/// The same file, for a program's standard error; the test's own where nothing
/// is captured.
pub fn log_of_a_program() -> Stdio {
    LOG.get()
        .map_or_else(Stdio::inherit, |path| append(path).into())
}

/// Adds what a program said.
pub fn add_to_log(text: &[u8]) {
    if let Some(path) = LOG.get() {
        append(path).write_all(text).expect("the log");
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).expect("the log")
}

/// Fails if anything that was noted was logged. The log is kept then.
pub fn none_was_logged() {
    let path = LOG.get().expect("a log");
    let log = std::fs::read(path).expect("the log");
    let secrets: Vec<String> = SECRETS.lock().unwrap().iter().cloned().collect();
    assert!(secrets.len() > 1, "nothing was noted");
    let searcher = AhoCorasick::new(&secrets).expect("a searcher");
    let found: Vec<String> = searcher
        .find_iter(&log)
        .take(5)
        .map(|found| {
            let from = found.start().saturating_sub(200);
            String::from_utf8_lossy(&log[from..found.end()]).into_owned()
        })
        .collect();
    assert!(found.is_empty(), "{}: {found:#?}", path.display());
    assert!(!log.is_empty(), "nothing was logged");
    println!(
        "{} secrets, none in {} bytes of log",
        secrets.len(),
        log.len()
    );
    let _ = std::fs::remove_file(path);
}
