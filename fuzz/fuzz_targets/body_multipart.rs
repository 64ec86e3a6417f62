//! Bodies: multipart.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../body.rs"]
mod body;

fuzz_target!(|bytes: &[u8]| body::check("multipart/form-data; boundary=x", bytes));
