//! What every answer depends on, whatever was asked.

use std::sync::atomic::{AtomicBool, Ordering};

/// How this server stands; shared by all workers.
pub struct ServerState {
    /// Whether browsers see https.
    pub is_https: bool,
    is_stopping: AtomicBool,
}

impl ServerState {
    /// That of a server that goes on.
    pub fn new(is_https: bool) -> Self {
        Self {
            is_https,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Whether it is about to stop: it still answers, and no more requests
    /// should be sent to it.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// From now on it is about to stop.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}
