//! The `Authorization` header, as DRF's `TokenAuthentication` reads it.

use std::borrow::Cow;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::http::response::error::ApiError;

/// The header's text; empty without one. Two headers are one with a comma, as
/// WSGI servers join them.
pub fn header(headers: &HeaderMap) -> Cow<'_, [u8]> {
    let mut values = headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes);
    let first = values.next().unwrap_or_default();
    values.fold(Cow::Borrowed(first), |joined, value| {
        Cow::Owned([&joined, value].join(&b","[..]))
    })
}

/// Whether the request brings a token, good or bad: then no session counts.
pub fn has_token(headers: &HeaderMap) -> bool {
    words(&header(headers)).next().is_some_and(is_scheme)
}

/// The token in the header; `None` if it is of another scheme; else 401 in DRF's words.
pub fn token_in(header: &[u8]) -> Result<Option<&str>, ApiError> {
    let words: Vec<&[u8]> = words(header).take(3).collect();
    let reason = match words.as_slice() {
        [] => return Ok(None),
        [scheme, ..] if !is_scheme(scheme) => return Ok(None),
        [_] => "Invalid token header. No credentials provided.",
        [_, key] => match std::str::from_utf8(key) {
            Ok(key) => return Ok(Some(key)),
            Err(_) => "Invalid token header. Token string should not contain invalid characters.",
        },
        _ => "Invalid token header. Token string should not contain spaces.",
    };
    Err(ApiError::AuthenticationFailed(reason))
}

fn is_scheme(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"token")
}

/// Python's `bytes.split()`.
fn words(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
        .filter(|word| !word.is_empty())
}
