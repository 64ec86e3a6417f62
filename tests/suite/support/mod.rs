//! What the tests share.

pub mod app;
pub mod database;
pub mod program;
pub mod secrets;

use database::Backend;

/// Runs a test that `#[each_database]` has made, in an actix system of its own.
pub fn run(backend: Backend, test: impl AsyncFnOnce(Backend)) {
    actix_web::rt::System::new().block_on(test(backend));
}
