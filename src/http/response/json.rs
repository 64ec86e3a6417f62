//! JSON answers as DRF renders them: compact, UTF-8, no charset.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

/// The answer 200 with this body.
pub fn ok(body: &impl Serialize) -> HttpResponse {
    response(StatusCode::OK, body)
}

/// An answer with this body.
pub fn response(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    // Fails only for maps whose keys are no strings.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(bytes)
}

/// The same document with each level indented, as Python's `json` does it.
pub fn indent(document: &[u8], spaces: usize) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(document).ok()?;
    let step = vec![b' '; spaces];
    let formatter = serde_json::ser::PrettyFormatter::with_indent(&step);
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).ok()?;
    Some(bytes)
}
