//! Faults, done for real to the real program: `kill -9`, a database that is gone, a
//! full disk. Each drill records what was answered. Afterwards no answered login may
//! be lost and no answered logout undone.
//!
//! It needs PostgreSQL and some minutes, so it is run by its name only:
//!
//!     TEST_POSTGRES_URL=postgres://… cargo test --test reliability [-- FILTER…]
//!
//! `-- --write` puts the table into docs/reliability.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    unused_imports,
    unused_macros,
    reason = "tests, and what they share with others"
)]

#[path = "../suite/support/mod.rs"]
mod support;

mod backup;
mod clock;
mod drill;
mod instances;
mod kill;
mod people;
mod postgresql;
mod proxy;
mod restart;
mod server;
mod sqlite;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use drill::{Drill, Outcome};
use support::database::Backend;

const DRILLS: &[&[Drill]] = &[
    kill::DRILLS,
    restart::DRILLS,
    instances::DRILLS,
    backup::DRILLS,
    sqlite::DRILLS,
    postgresql::DRILLS,
    clock::DRILLS,
];

fn main() -> ExitCode {
    let (options, filters): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|word| word.starts_with("--"));
    let backends = Backend::all();
    if backends.len() < 2 {
        eprintln!("TEST_POSTGRES_URL is not set: the drills need a PostgreSQL database");
        return ExitCode::from(2);
    }
    let mut outcomes = Vec::new();
    for drill in DRILLS.iter().copied().flatten() {
        for backend in backends.iter().filter(|backend| drill.is_for(backend)) {
            let outcome = Outcome::of(drill, backend);
            if filters.is_empty() || filters.iter().any(|word| outcome.name().contains(word)) {
                eprint!("{} … ", outcome.name());
                let begun = Instant::now();
                let outcome = outcome.run(drill, backend);
                let slowest = outcome.tally.seen.slowest;
                eprintln!("{:?}, slowest answer {slowest:?}", begun.elapsed());
                outcomes.push(outcome);
            }
        }
    }
    println!("{}", table::markdown(&outcomes));
    if options.iter().any(|option| option == "--write") {
        table::write(&outcomes);
    }
    let broken: Vec<&Outcome> = outcomes.iter().filter(|o| !o.is_good()).collect();
    for outcome in &broken {
        eprintln!("{}: {}", outcome.name(), outcome.complaints());
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
