//! The real Django beside Portcullis, on one database: what one of them does,
//! the other must see.
//!
//! Each test is run beside Django 5.2 and beside 6.1. It needs a Python with each,
//! `NEIGHBOUR_PYTHON` and `NEIGHBOUR_PYTHON_61`, so it is run by its name only:
//! `cargo test --test neighbour`. `.ci/run neighbour` makes both Pythons.

#![allow(dead_code, unused_macros, reason = "what is shared with the suite")]

#[path = "../suite/support/mod.rs"]
mod support;

mod asked;
#[path = "../conformance/case.rs"]
mod case;
#[path = "../conformance/judge.rs"]
mod judge;
#[path = "../conformance/replay.rs"]
mod replay;
#[path = "../conformance/rows.rs"]
mod rows;
#[path = "../conformance/wire.rs"]
mod wire;

mod django;
mod django_later;
mod growing;
mod hashes;
mod model_rules;
mod recorded;
mod takeover;
mod two_way;
mod user_models;

use support::run;
