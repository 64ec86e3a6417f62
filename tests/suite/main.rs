//! Black-box tests: a real server on a port of its own, over real HTTP, with a
//! database of its own.
//!
//! Each test of [`on_each_database`] runs on SQLite and, when
//! `TEST_POSTGRES_URL` is set, on PostgreSQL too. They are listed by what there
//! is to run on, so none is skipped in silence: without the variable there are
//! no PostgreSQL tests, and the first line says so.

mod support;

mod access;
mod audit;
mod bodies;
mod check;
mod cli;
mod django;
mod enumeration;
mod faults;
mod freshness;
#[cfg(target_os = "linux")]
mod hash_work;
mod hosts;
mod login;
mod logout;
mod overload;
mod pages;
mod passwords;
#[cfg(target_os = "linux")]
mod quiet;
mod repo;
mod security;
mod sessions;
mod stop;
mod throttle;
mod upkeep;
mod user;
mod wire;

use libtest_mimic::{Arguments, Trial};
use support::database::Backend;
use support::registry::{DatabaseTest, PlainTest};
use support::secrets;

/// Tests that run once for each database.
const ON_EACH_DATABASE: &[&[DatabaseTest]] = &[
    access::TESTS,
    audit::TESTS,
    bodies::TESTS,
    check::TESTS,
    cli::TESTS,
    django::TESTS,
    enumeration::TESTS,
    faults::TESTS,
    freshness::TESTS,
    #[cfg(target_os = "linux")]
    hash_work::TESTS,
    hosts::TESTS,
    login::TESTS,
    logout::TESTS,
    overload::TESTS,
    pages::TESTS,
    passwords::TESTS,
    repo::TESTS,
    security::TESTS,
    sessions::TESTS,
    stop::TESTS,
    throttle::TESTS,
    upkeep::TESTS,
    user::TESTS,
    wire::TESTS,
];

/// Tests that need no database of ours.
const ONCE: &[&[PlainTest]] = &[
    check::PLAIN,
    cli::PLAIN,
    overload::PLAIN,
    #[cfg(target_os = "linux")]
    quiet::PLAIN,
    repo::PLAIN,
    security::PLAIN,
    stop::PLAIN,
];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    secrets::capture();
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
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return conclusion.exit_code();
    }
    // The last one looks at what all the others have logged.
    let last = Trial::test("secrets::none_was_logged", || {
        secrets::none_was_logged();
        Ok(())
    });
    let last = libtest_mimic::run(&Arguments::default(), vec![last]);
    if conclusion.has_failed() {
        conclusion.exit_code()
    } else {
        last.exit_code()
    }
}
