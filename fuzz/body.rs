//! What holds for every body, whatever its type.

use std::io::Write;

use actix_web::FromRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::test::TestRequest;
use futures_util::FutureExt;
use portcullis::http::body::Body;

/// Reads it as a handler does.
pub fn check(content_type: &str, bytes: &[u8]) {
    let (request, payload) = TestRequest::post()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_LENGTH, bytes.len()))
        .set_payload(bytes.to_vec())
        .to_http_parts();
    let mut payload: Payload = payload;
    let read = Body::from_request(&request, &mut payload)
        .now_or_never()
        .expect("all of it is there");
    match read {
        Ok(body) => {
            for name in ["username", "password", "next", "csrfmiddlewaretoken"] {
                if let Some(text) = body.text(name) {
                    assert!(text.len() <= bytes.len() * 3, "it grew");
                }
            }
        }
        Err(error) => {
            let status = error.status().as_u16();
            assert!([400, 413, 415].contains(&status), "{status}");
            // What the client is told is one line, and not its own body.
            let detail = error.detail();
            assert!(detail.len() < 500, "{detail}");
            let _ = std::io::sink().write(detail.as_bytes());
        }
    }
}
