//! Faults, done for real to the real program: `kill -9`, a database that is gone, a
//! full disk. Each drill records what was answered. Afterwards no answered login may
//! be lost and no answered logout undone.
//!
//! It takes minutes, and PostgreSQL for most drills, so it is run by its name only:
//!
//!     TEST_POSTGRES_URL=postgres://… cargo test --test reliability [-- FILTER…]
//!
//! `RELIABILITY_WRITE=1` puts each drill's row into docs/reliability.md.

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

use std::fs::File;

use support::database::Backend;

/// One drill at a time, whoever runs them: each wants the machine for itself.
fn run(backend: Backend, test: impl AsyncFnOnce(Backend)) {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/reliability.lock");
    let turn = File::create(path).expect("a file to lock");
    turn.lock().expect("this drill's turn");
    support::run(backend, test);
}
