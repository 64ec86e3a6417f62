//! How the server stops, so that nobody's request fails.
//!
//! SIGTERM is another program's, and there may be a proxy: first it is told, by
//! `/readyz` and by `Connection: close`, while everything is still answered.
//! Ctrl-C is somebody's at a terminal, who would only wait. After that what is
//! in flight is finished. A second signal ends it all.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::http::middleware::server_state::ServerState;

/// The signals that stop the server.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

enum Kind {
    Terminate,
    Interrupt,
}

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.terminate.recv() => Kind::Terminate,
            _ = self.interrupt.recv() => Kind::Interrupt,
        }
    }
}

/// Returns when the server has stopped after a signal, or has to at once after
/// a second one.
pub async fn stop_by_signal(
    mut signals: Signals,
    state: &ServerState,
    server: ServerHandle,
    delay: Duration,
) {
    let first = signals.next().await;
    state.stop();
    let gracefully = async {
        if matches!(first, Kind::Terminate) && !delay.is_zero() {
            tracing::info!(
                ?delay,
                "not ready any more: everything else is still answered"
            );
            sleep(delay).await;
        }
        tracing::info!("stopping: requests in flight are finished first");
        server.stop(true).await;
    };
    tokio::select! {
        () = gracefully => {}
        _ = signals.next() => tracing::warn!("a second signal: requests in flight are cut off"),
    }
}
