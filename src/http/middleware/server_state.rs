//! The state of the server that every answer depends on.

use std::sync::atomic::{AtomicBool, Ordering};

/// The state; shared by all workers.
pub struct ServerState {
    /// Whether browsers see https.
    pub is_https: bool,
    is_stopping: AtomicBool,
}

impl ServerState {
    /// A server that is not stopping.
    pub fn new(is_https: bool) -> Self {
        Self {
            is_https,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Whether it is about to stop: it still answers, but wants no new requests.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Notes that it is about to stop.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}
