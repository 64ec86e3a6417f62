//! What the tests share.

pub mod app;
pub mod database;
pub mod program;
pub mod secrets;

use std::time::{Duration, Instant};

use database::Backend;

/// Longest wait for anything in a test: more is a hang, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test that `#[each_database]` has made, in an actix system of its own.
pub fn run(backend: Backend, test: impl AsyncFnOnce(Backend)) {
    actix_web::rt::System::new().block_on(test(backend));
}

/// Looks until it is so.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
