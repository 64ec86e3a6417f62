//! Bodies: json.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../body.rs"]
mod body;

fuzz_target!(|bytes: &[u8]| {
    body::check("application/json", bytes);
    body::round_trip("application/json", bytes, |pairs| json(pairs).into_bytes());
    body::round_trip("application/json; charset=utf-16", bytes, |pairs| {
        json(pairs)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    });
});

/// With its names as they are, be they there twice.
fn json(pairs: &[(&str, &str)]) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let members = pairs
        .iter()
        .map(|(name, value)| format!("{}:{}", text(name), text(value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
