//! Who is asking: DRF's `TokenAuthentication`, then its `SessionAuthentication`.

use std::borrow::Cow;

use actix_identity::Identity;
use actix_session::Session;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage, web};

use super::cookies::RequestCookies;
use super::error::ApiError;
use super::extract::{Authentication, CurrentUser};
use super::session_cookie;
use super::session_store::{self, Row};
use crate::auth::sessions::SessionUser;
use crate::auth::{Auth, Token};

/// Whether the request brings a token, good or bad: then no session counts.
pub fn has_token(headers: &HeaderMap) -> bool {
    words(&authorization(headers)).next().is_some_and(is_scheme)
}

/// The user who is asking; `None` if nobody says who they are.
pub async fn authenticate(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    match by_token(request).await? {
        Some(user) => Ok(Some(user)),
        None => by_session(request).await,
    }
}

async fn by_token(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let header = authorization(request.headers());
    let Some(token) = token_in(&header)? else {
        return Ok(None);
    };
    let invalid = ApiError::AuthenticationFailed("Invalid token.");
    let token = Token::parse(token).ok_or(ApiError::AuthenticationFailed("Invalid token."))?;
    let user = auth(request)?
        .tokens
        .find_user(&token)
        .await?
        .ok_or(invalid)?;
    if !user.is_active {
        return Err(ApiError::AuthenticationFailed("User inactive or deleted."));
    }
    Ok(Some(CurrentUser {
        user,
        authentication: Authentication::Token,
    }))
}

async fn by_session(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    let http_request = request.request();
    let session = Session::from_request(http_request, &mut Payload::None).await;
    let Ok(session) = session else {
        return Ok(None);
    };
    let cookies = RequestCookies::from_extensions(request);
    let Some(key) = cookies.session_key() else {
        return Ok(None);
    };
    match session_store::row(&session) {
        Row::Found => {}
        Row::Unanswered => return Err(ApiError::Unavailable),
        Row::Missing => {
            // A cookie whose session is gone is of no more use to the browser.
            session_cookie::forget(http_request);
            return Ok(None);
        }
    }
    let identity = Identity::from_request(http_request, &mut Payload::None).await;
    if identity.is_err() {
        return Ok(None);
    }
    let Some(claim) = session_store::claim(&session) else {
        return Ok(None);
    };
    let auth = auth(request)?;
    let by_session = |user| CurrentUser {
        user,
        authentication: Authentication::Session,
    };
    match auth.sessions.find_user(&claim).await? {
        SessionUser::User(user) => Ok(Some(by_session(user))),
        SessionUser::UserOfOldKey(user) => {
            let Some(renewed) = auth.sessions.renew(key, &user).await? else {
                return Ok(None);
            };
            session.renew();
            session_store::announce(&session, &renewed).map_err(|_| ApiError::Unavailable)?;
            request.extensions_mut().insert(cookies.with_key(renewed));
            Ok(Some(by_session(user)))
        }
        SessionUser::Nobody => Ok(None),
        SessionUser::Stale => {
            auth.sessions.delete(key).await?;
            session_cookie::forget(http_request);
            Ok(None)
        }
    }
}

fn auth(request: &ServiceRequest) -> Result<&Auth, ApiError> {
    request
        .app_data::<web::Data<Auth>>()
        .map(|auth| auth.get_ref())
        .ok_or(ApiError::Unavailable)
}

/// Two headers are one with a comma, as WSGI servers join them.
fn authorization(headers: &HeaderMap) -> Cow<'_, [u8]> {
    let mut values = headers.get_all(AUTHORIZATION).map(HeaderValue::as_bytes);
    let first = values.next().unwrap_or_default();
    values.fold(Cow::Borrowed(first), |joined, value| {
        Cow::Owned([&joined, value].join(&b","[..]))
    })
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

/// The key in the header; `None` if it is another scheme's.
///
/// # Errors
///
/// 401 in DRF's words for what looks like a token and is none.
pub fn token_in(header: &[u8]) -> Result<Option<&str>, ApiError> {
    let words: Vec<&[u8]> = words(header).take(3).collect();
    match words.as_slice() {
        [scheme, ..] if !is_scheme(scheme) => Ok(None),
        [] => Ok(None),
        [_] => Err(ApiError::AuthenticationFailed(
            "Invalid token header. No credentials provided.",
        )),
        [_, key] => std::str::from_utf8(key).map(Some).map_err(|_| {
            ApiError::AuthenticationFailed(
                "Invalid token header. Token string should not contain invalid characters.",
            )
        }),
        _ => Err(ApiError::AuthenticationFailed(
            "Invalid token header. Token string should not contain spaces.",
        )),
    }
}
