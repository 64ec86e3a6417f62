//! How a pool is doing: since when its jobs run, and why it has no connection.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A job that takes longer is given up: PostgreSQL ends a statement after 5 s, and no job
/// has many.
pub const LATE: Duration = Duration::from_millis(5500);

/// When a job began, and a number that no other has.
type Start = (Instant, u64);

/// The health of one pool; shared by all that use it.
#[derive(Default)]
pub struct Health {
    /// The first is the oldest.
    running: Mutex<BTreeSet<Start>>,
    /// Why the last try to connect failed; nothing if it did not.
    down: Mutex<Option<String>>,
}

impl Health {
    /// A job begins, and ends when the value is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let start = (Instant::now(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.change(|running| running.insert(start));
        Running {
            health: Arc::clone(self),
            start,
        }
    }

    /// Whether a job hangs.
    pub fn is_late(&self) -> bool {
        let oldest = self.change(|running| running.first().copied());
        oldest.is_some_and(|(begun, _)| begun.elapsed() > LATE)
    }

    /// Why the last try to connect failed.
    pub fn down(&self) -> Option<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.clone()
    }

    pub fn set_down(&self, reason: Option<String>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<Start>) -> T) -> T {
        change(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A job that has begun and not ended.
pub struct Running {
    health: Arc<Health>,
    start: Start,
}

impl Running {
    /// Whether whoever asked for it has given up, or is about to.
    pub fn is_late(&self) -> bool {
        self.start.0.elapsed() > LATE
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.health.change(|running| running.remove(&self.start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_has_ended_is_never_late() {
        let health = Arc::new(Health::default());
        let long_ago = Instant::now().checked_sub(2 * LATE).unwrap();
        let old = Running {
            health: Arc::clone(&health),
            start: (long_ago, 0),
        };
        health.change(|running| running.insert(old.start));
        let young = health.begin();
        assert!(old.is_late() && !young.is_late() && health.is_late());
        drop(old);
        assert!(!health.is_late());
        drop(young);
        assert!(!health.is_late());
    }
}
