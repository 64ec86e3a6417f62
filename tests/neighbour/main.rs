//! The real Django beside Portcullis, on one database: what one of them does,
//! the other must see.
//!
//! Each test is run beside Django 5.2 and beside 6.1. It needs a Python with each,
//! `NEIGHBOUR_PYTHON` and `NEIGHBOUR_PYTHON_61`, so it is run by its name only:
//! `cargo test --test neighbour`. `.ci/run neighbour` makes both Pythons.

#![allow(dead_code, unused_macros, reason = "what is shared with the suite")]

#[path = "../suite/support/mod.rs"]
mod support;

mod django;
mod hashes;
mod two_way;

use support::run;
