//! What the processes at a database share of its write-ahead log: the file `-shm`
//! (<https://www.sqlite.org/walformat.html>, "The WAL-Index File Format").

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A header is 48 bytes, and there twice.
const HEADER: usize = 6;
/// Both headers, and the word behind them.
const WORDS: usize = 2 * HEADER + 1;
/// From so many frames on each commit tries to copy them: SQLite's
/// `wal_autocheckpoint`.
const CHECKPOINT: u32 = 1000;

/// Which commit was the last, by whatever process: SQLite's own header of the
/// index, which every commit changes. It is what SQLite itself compares to see
/// whether what a connection knows is still true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(pub(super) [u64; HEADER]);

impl Version {
    /// Whether one commit lies between the two, neither none nor more.
    pub(super) fn is_next_after(self, before: Self) -> bool {
        self.commits() == before.commits().wrapping_add(1)
    }

    /// SQLite's `iChange`, one more with each commit.
    fn commits(self) -> u32 {
        let [_, word, ..] = self.0;
        halves(word)[0]
    }

    /// SQLite's `isInit`, a byte.
    fn is_in_use(self) -> bool {
        let [_, word, ..] = self.0;
        word.to_ne_bytes()[4] != 0
    }

    /// SQLite's `mxFrame`: frames in the log.
    fn frames(self) -> u32 {
        let [_, _, word, ..] = self.0;
        halves(word)[0]
    }
}

/// The two numbers in a word, in the order in which they are stored.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_ne_bytes)
}

/// How the log stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) version: Version,
    /// Whether the next commit would like to find no reader in the log.
    pub(super) awaits_checkpoint: bool,
}

/// The file, mapped into memory as SQLite itself does it.
pub(super) struct WalIndex(&'static [AtomicU64; WORDS]);

impl WalIndex {
    /// Of a database that a connection of this process has open: it stays.
    pub(super) fn open(database: &Path) -> Option<Self> {
        let mapped = Self::map(database);
        if let Err(error) = &mapped {
            tracing::warn!(%error, "no look-up will be remembered: no write-ahead log index");
        }
        mapped.ok().map(Self)
    }

    fn map(database: &Path) -> std::io::Result<&'static [AtomicU64; WORDS]> {
        // It lies beside the file itself, not beside a link to it.
        let mut name = database.canonicalize()?.into_os_string();
        name.push("-shm");
        let file = File::open(name)?;
        if file.metadata()?.len() < size_of::<[u64; WORDS]>() as u64 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // It is never closed: when a process closes any descriptor of a file, POSIX
        // takes away all locks that it has there, and SQLite's are there.
        map(Box::leak(Box::new(file)))
    }

    /// How it stands now; `None` if that cannot be told, as in the middle of a
    /// commit.
    pub(super) fn state(&self) -> Option<State> {
        // Who writes begins with the second header.
        let words = self.0.each_ref();
        let [a, b, c, d, e, f, rest @ ..] = words;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let first = [a, b, c, d, e, f].map(load);
        fence(Ordering::Acquire);
        let [a, b, c, d, e, f, copied] = rest.map(load);
        let version = Version(first);
        let is_whole = first == [a, b, c, d, e, f] && version.is_in_use();
        // SQLite's nBackfill: frames that are in the database, too.
        let [copied, _] = halves(copied);
        let frames = version.frames();
        is_whole.then_some(State {
            version,
            awaits_checkpoint: frames >= CHECKPOINT && copied != frames,
        })
    }
}

#[expect(
    unsafe_code,
    reason = "a system call for each look-up would cost more than all else in it"
)]
fn map(file: &'static File) -> std::io::Result<&'static [AtomicU64; WORDS]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};

    let length = size_of::<[AtomicU64; WORDS]>();
    // SAFETY: the system chooses where, so nothing else is there.
    let start = unsafe {
        mmap(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ,
            MapFlags::SHARED,
            file,
            0,
        )?
    };
    // SAFETY: a page begins there, which is never unmapped; the file holds that much
    // of it, and is not cut while a connection has it open; others write to it, so
    // it is read by atomic loads only.
    Ok(unsafe { &*start.cast::<[AtomicU64; WORDS]>() })
}
