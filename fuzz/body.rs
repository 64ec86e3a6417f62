//! What holds for every body, whatever its type.

use actix_web::FromRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::test::TestRequest;
use futures_util::FutureExt;
use portcullis::http::request::body::Body;
use portcullis::http::response::error::ApiError;

const NAMES: [&str; 4] = ["username", "password", "next", "csrfmiddlewaretoken"];

/// Reads it as a handler does.
pub fn check(content_type: &str, bytes: &[u8]) {
    match read(content_type, bytes) {
        Ok(body) => {
            for text in NAMES.iter().filter_map(|name| body.text(name)) {
                // A byte that is none of UTF-8's becomes three.
                assert!(text.len() <= bytes.len() * 3, "it grew");
            }
        }
        Err(error) => {
            let status = error.status().as_u16();
            assert!([400, 413, 415].contains(&status), "{status}");
            // What the client is told is short but for its own media type, which
            // DRF repeats, and is not its own body.
            let detail = error.detail();
            assert!(detail.len() < 500 + content_type.len(), "{detail}");
            let sent = String::from_utf8_lossy(bytes);
            assert!(sent.len() < 300 || !detail.contains(sent.as_ref()));
        }
    }
}

/// Reads back what `encode` writes of a text; a name that stands there twice has
/// its last value.
#[allow(dead_code, reason = "not every target writes bodies")]
pub fn round_trip(content_type: &str, bytes: &[u8], encode: impl Fn(&[(&str, &str)]) -> Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, "x"));
    let pairs = [
        ("username", rest),
        ("password", first),
        ("", rest),
        ("username", first),
    ];
    let body = read(content_type, &encode(&pairs)).expect("what we wrote");
    assert_eq!(body.text("username"), Some(first));
    assert_eq!(body.text("password"), Some(first));
    assert_eq!(body.text("next"), None);
}

fn read(content_type: &str, bytes: &[u8]) -> Result<Body, ApiError> {
    let (request, mut payload): (_, Payload) = TestRequest::post()
        .insert_header((CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap()))
        .insert_header((CONTENT_LENGTH, bytes.len()))
        .set_payload(bytes.to_vec())
        .to_http_parts();
    let reading = Body::from_request(&request, &mut payload);
    reading.now_or_never().expect("all of it is there")
}
