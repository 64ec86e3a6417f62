//! The real Django beside Portcullis, on one database: what one of them does,
//! the other must see.
//!
//! Needs a Python with `tests/neighbour/requirements.txt` installed, named by
//! `NEIGHBOUR_PYTHON`, so it is run by its name only:
//! `cargo test --test neighbour`. On PostgreSQL too if `TEST_POSTGRES_URL` is set.

#![allow(dead_code, unused_macros, reason = "what is shared with the suite")]

#[path = "../suite/support/mod.rs"]
mod support;

mod django;
mod hashes;
mod two_way;

use libtest_mimic::{Arguments, Trial};
use support::database::Backend;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let backends = Backend::all();
    if backends.len() == 1 && !arguments.list {
        eprintln!("TEST_POSTGRES_URL is not set: running on SQLite only");
    }
    let tests = [two_way::TESTS, hashes::TESTS];
    let trials = backends.iter().flat_map(|backend| {
        tests.into_iter().flatten().map(move |test| {
            let name = format!("{}::{}", backend.name(), test.name());
            let (backend, run) = (backend.clone(), test.run);
            Trial::test(name, move || {
                actix_web::rt::System::new().block_on(run(backend));
                Ok(())
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
