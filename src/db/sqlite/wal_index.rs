//! What the processes at a database share of its write-ahead log: the file `-shm`
//! (<https://www.sqlite.org/walformat.html>, "The WAL-Index File Format").

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER: usize = 48;
/// Where a header says that it is in use.
const IS_INIT: usize = 12;
/// Where it says how many frames are in the log.
const FRAMES: usize = 16;
/// Behind both headers: how many of them are in the database, too.
const COPIED: usize = 2 * HEADER;
/// From so many frames on each commit tries to copy them: SQLite's
/// `wal_autocheckpoint`.
const CHECKPOINT: u32 = 1000;

/// Which commit was the last, by whatever process: SQLite's own header of the
/// index, which every commit changes. It is what SQLite itself compares to see
/// whether what a connection knows is still true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) struct Version([u8; HEADER]);

/// How the log stands.
pub(in crate::db) struct Standing {
    pub(in crate::db) version: Version,
    /// Whether the next commit would like to find no reader in the log.
    pub(super) awaits_checkpoint: bool,
}

/// The file, open.
pub(super) struct WalIndex(&'static File);

impl WalIndex {
    /// It is never closed: when a process closes any descriptor of a file, POSIX
    /// takes away all locks that it has there, and SQLite's are there.
    pub(super) fn open(database: &Path) -> Option<Self> {
        // It lies beside the file itself, not beside a link to it.
        let mut name = database.canonicalize().ok()?.into_os_string();
        name.push("-shm");
        let opened = File::open(name);
        if let Err(error) = &opened {
            tracing::warn!(%error, "no look-up will be remembered: no write-ahead log index");
        }
        Some(Self(Box::leak(Box::new(opened.ok()?))))
    }

    /// How it stands now; `None` if that cannot be told, as in the middle of a
    /// commit.
    pub(super) fn standing(&self) -> Option<Standing> {
        let mut bytes = [0; COPIED + size_of::<u32>()];
        self.0.read_exact_at(&mut bytes, 0).ok()?;
        // The header is there twice; who writes begins with the second.
        let (first, rest) = bytes.split_first_chunk::<HEADER>()?;
        let (second, copied) = rest.split_first_chunk::<HEADER>()?;
        let is_whole = first == second && first.get(IS_INIT) != Some(&0);
        let number = |bytes: &[u8]| Some(u32::from_ne_bytes(*bytes.first_chunk()?));
        let frames = number(first.get(FRAMES..)?)?;
        is_whole.then_some(Standing {
            version: Version(*first),
            awaits_checkpoint: frames >= CHECKPOINT && number(copied)? != frames,
        })
    }
}
