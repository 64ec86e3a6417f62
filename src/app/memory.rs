//! Memory that connections no longer need, given back to the system.
//!
//! glibc keeps what is freed between what is not, for the next time that it is
//! needed: after ten thousand connections were busy, 100 MB.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked whether there is enough to give back.
const INTERVAL: Duration = Duration::from_secs(5);
/// So many connections have some 4 MiB of buffers.
const ENOUGH: usize = 256;

/// Connections that have given their buffers back since the last time.
static FREED: AtomicUsize = AtomicUsize::new(0);

/// A connection has given its buffers back to the allocator.
pub fn note_freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Gives back what is free, whenever that is much.
pub async fn give_back() {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        if FREED.load(Ordering::Relaxed) >= ENOUGH {
            FREED.store(0, Ordering::Relaxed);
            // On no worker: it takes some milliseconds.
            let _ = tokio::task::spawn_blocking(trim).await;
        }
    }
}

fn trim() {
    let start = Instant::now();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "it takes a number, and moves nothing that is in use"
    )]
    // SAFETY: glibc's own locks keep it apart from what other threads allocate.
    unsafe {
        libc::malloc_trim(0);
    }
    tracing::debug!(took = ?start.elapsed(), "gave memory back to the system");
}
