//! The real Django beside Portcullis, on one database: what one of them does,
//! the other must see.
//!
//! Needs a Python with `tests/neighbour/requirements.txt` installed, named by
//! `NEIGHBOUR_PYTHON`, so it is run by its name only:
//! `cargo test --test neighbour`.

#![allow(dead_code, unused_macros, reason = "what is shared with the suite")]

#[path = "../suite/support/mod.rs"]
mod support;

mod asked;
mod django;
mod django_later;
mod growing;
mod hashes;
mod model_rules;
mod two_way;
mod user_models;

use support::run;
