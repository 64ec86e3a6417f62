//! What the server does at intervals, beside answering requests.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;

use crate::auth::Auth;

/// How often expired rows are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);
/// How often the kinds of password hashes are counted.
const LEARN_INTERVAL: Duration = Duration::from_secs(3600);

/// Starts all of it; it stops when the value is dropped.
pub fn start(auth: &Auth) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(sweep(auth.clone()));
    tasks.spawn(learn(auth.clone()));
    tasks
}

async fn sweep(auth: Auth) {
    let mut ticks = interval(SWEEP_INTERVAL);
    // The first tick comes at once; a start has better to do.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match auth.sweep().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "deleted expired rows"),
            Err(error) => tracing::warn!(%error, "could not delete expired rows"),
        }
    }
}

async fn learn(auth: Auth) {
    let mut ticks = interval(LEARN_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = auth.passwords.learn_workload().await {
            tracing::warn!(%error, "could not read the password hashes");
        }
    }
}
