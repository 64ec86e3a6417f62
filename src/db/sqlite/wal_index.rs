//! The file `-shm`, by which processes share the state of the write-ahead log
//! (<https://www.sqlite.org/walformat.html>, "The WAL-Index File Format").

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// A header is 48 bytes, and there twice.
const HEADER: usize = 12;
/// Both headers, and the word behind them.
const WORDS: usize = 2 * HEADER + 1;
/// From so many frames on each commit tries to copy them: SQLite's
/// `wal_autocheckpoint`.
const CHECKPOINT: u32 = 1000;

/// The last commit by any process: SQLite's own header of the index, which every
/// commit changes. SQLite compares it to see whether its page cache is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version([u32; HEADER]);

impl Version {
    /// SQLite's `isInit`, a byte.
    fn is_in_use(self) -> bool {
        let [_, _, _, word, ..] = self.0;
        word.to_ne_bytes()[0] != 0
    }

    /// SQLite's `mxFrame`: frames in the log.
    fn frames(self) -> u32 {
        let [_, _, _, _, frames, ..] = self.0;
        frames
    }
}

/// The state of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) version: Version,
    /// Whether the log is due for a checkpoint, which readers hinder.
    pub(super) awaits_checkpoint: bool,
}

/// The file, mapped into memory as SQLite itself does it.
pub(super) struct WalIndex(&'static [AtomicU32; WORDS]);

impl WalIndex {
    /// For a database that this process has open, so that the file stays.
    pub(super) fn open(database: &Path) -> Option<Self> {
        let mapped = Self::map(database);
        if let Err(error) = &mapped {
            tracing::warn!(%error, "look-ups will share no snapshots: no write-ahead log index");
        }
        mapped.ok().map(Self)
    }

    fn map(database: &Path) -> std::io::Result<&'static [AtomicU32; WORDS]> {
        // It is beside the file itself, not beside a link to it.
        let mut name = database.canonicalize()?.into_os_string();
        name.push("-shm");
        // Never closed: when a process closes any descriptor of a file, POSIX drops
        // all its locks there, SQLite's among them.
        let file: &'static File = Box::leak(Box::new(File::open(name)?));
        if file.metadata()?.len() < size_of::<[u32; WORDS]>() as u64 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        map(file)
    }

    /// The state now; `None` in the middle of a commit.
    pub(super) fn state(&self) -> Option<State> {
        let load = |word: &AtomicU32| word.load(Ordering::Relaxed);
        let (first, rest) = self.0.split_first_chunk::<HEADER>()?;
        let first = first.each_ref().map(load);
        // A writer writes the second header first.
        fence(Ordering::Acquire);
        let (second, behind) = rest.split_first_chunk::<HEADER>()?;
        let second = second.each_ref().map(load);
        // SQLite's nBackfill: frames that are in the database, too.
        let copied = load(behind.first()?);
        let version = Version(first);
        let (is_whole, frames) = (first == second, version.frames());
        (is_whole && version.is_in_use()).then_some(State {
            version,
            awaits_checkpoint: frames >= CHECKPOINT && copied != frames,
        })
    }
}

#[expect(
    unsafe_code,
    reason = "a system call for each look-up would cost more than the rest of it"
)]
fn map(file: &'static File) -> std::io::Result<&'static [AtomicU32; WORDS]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};

    let anywhere = std::ptr::null_mut();
    let length = size_of::<[AtomicU32; WORDS]>();
    let (read, shared) = (ProtFlags::READ, MapFlags::SHARED);
    // SAFETY: the system chooses where, so nothing else is there.
    let start = unsafe { mmap(anywhere, length, read, shared, file, 0)? };
    // SAFETY: a page begins there, never unmapped; the file holds that much, and is not
    // cut while a connection has it open; as others write it, all loads are atomic.
    Ok(unsafe { &*start.cast::<[AtomicU32; WORDS]>() })
}
