//! Black-box tests: a real server on a port of its own, over real HTTP, with a
//! database of its own.
//!
//! Each test of [`on_each_database`] runs on SQLite and, when
//! `TEST_POSTGRES_URL` is set, on PostgreSQL too. They are listed by what there
//! is to run on, so none is skipped in silence: without the variable there are
//! no PostgreSQL tests, and the first line says so.

mod support;

mod bodies;
mod check;
mod cli;
mod django;
mod faults;
mod hosts;
mod login;
mod logout;
mod pages;
mod passwords;
mod repo;
mod sessions;
mod user;

use libtest_mimic::{Arguments, Trial};
use support::database::Backend;
use support::registry::{DatabaseTest, PlainTest};

/// Tests that run once for each database.
const ON_EACH_DATABASE: &[&[DatabaseTest]] = &[
    bodies::TESTS,
    check::TESTS,
    cli::TESTS,
    django::TESTS,
    faults::TESTS,
    hosts::TESTS,
    login::TESTS,
    logout::TESTS,
    pages::TESTS,
    passwords::TESTS,
    repo::TESTS,
    sessions::TESTS,
    user::TESTS,
];

/// Tests that need no database of ours.
const ONCE: &[&[PlainTest]] = &[check::PLAIN, cli::PLAIN, repo::PLAIN];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let backends = Backend::all();
    if backends.len() == 1 && !arguments.list {
        eprintln!("TEST_POSTGRES_URL is not set: running on SQLite only");
    }
    let mut trials: Vec<Trial> = Vec::new();
    for backend in backends {
        for test in ON_EACH_DATABASE.iter().copied().flatten() {
            let name = format!("{}::{}", backend.name(), test.name());
            let (backend, run) = (backend.clone(), test.run);
            trials.push(Trial::test(name, move || {
                actix_web::rt::System::new().block_on(run(backend));
                Ok(())
            }));
        }
    }
    for test in ONCE.iter().copied().flatten() {
        let run = test.run;
        trials.push(Trial::test(test.name(), move || {
            run();
            Ok(())
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
