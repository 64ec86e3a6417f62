//! How the server stops without failing a request.
//!
//! SIGTERM may come with a proxy in front: `/readyz` and `Connection: close` tell it
//! first, while everything is still answered. Ctrl-C, from a terminal, skips that. Then
//! requests in flight finish. A second signal ends the process at once.

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
    /// Starts to catch them.
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

/// Returns when the server has stopped after a signal, or after a second signal.
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
                "/readyz answers 503 from now on; everything else is still answered"
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
