//! Bodies: json.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../body.rs"]
mod body;

fuzz_target!(|bytes: &[u8]| body::check("application/json", bytes));
