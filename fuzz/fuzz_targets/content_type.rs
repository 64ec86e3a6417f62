//! `Content-Type` headers: the first line, and below it the body.
#![no_main]

use actix_web::http::header::HeaderValue;
use libfuzzer_sys::fuzz_target;

#[path = "../body.rs"]
mod body;

fuzz_target!(|text: &str| {
    let (content_type, bytes) = text.split_once('\n').unwrap_or((text, "{}"));
    if HeaderValue::from_str(content_type).is_ok() {
        body::check(content_type, bytes.as_bytes());
    }
});
