//! Bodies: form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::form_urlencoded::Serializer;

#[path = "../body.rs"]
mod body;

const TYPE: &str = "application/x-www-form-urlencoded";

fuzz_target!(|bytes: &[u8]| {
    body::check(TYPE, bytes);
    body::round_trip(TYPE, bytes, |pairs| {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(pairs);
        form.finish().into_bytes()
    });
});
