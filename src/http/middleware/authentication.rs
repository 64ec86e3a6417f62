//! Who sends a request: DRF's `TokenAuthentication`, then its
//! `SessionAuthentication`.

use actix_web::dev::ServiceRequest;
use actix_web::web;

use crate::auth::sessions::SessionUser;
use crate::auth::{Auth, Token};
use crate::http::request::authorization;
use crate::http::request::current_user::{Authentication, CurrentUser};
use crate::http::response::error::ApiError;
use crate::http::session::browser_session::BrowserSession;

/// The user who sends the request; `None` if it names none.
pub async fn authenticate(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    match by_token(request).await? {
        Some(user) => Ok(Some(user)),
        None => by_session(request).await,
    }
}

async fn by_token(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    let header = authorization::header(request.headers());
    let Some(token) = authorization::token_in(&header)? else {
        return Ok(None);
    };
    let invalid = || ApiError::AuthenticationFailed("Invalid token.");
    let token = Token::parse(token).ok_or_else(invalid)?;
    let found = auth(request)?.tokens.find_user(&token).await?;
    let user = found.ok_or_else(invalid)?;
    if !user.is_active {
        return Err(ApiError::AuthenticationFailed("User inactive or deleted."));
    }
    Ok(Some(CurrentUser {
        user,
        authentication: Authentication::Token,
    }))
}

async fn by_session(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    let session = BrowserSession::of(request.request())?;
    let (Some(key), Some(claim)) = (session.key(), session.claim()?) else {
        return Ok(None);
    };
    let auth = auth(request)?;
    let user = match auth.sessions.find_user(&claim).await? {
        SessionUser::User(user) => user,
        SessionUser::UserOfOldKey(user) => match auth.sessions.renew(key, &user).await? {
            Some(renewed) => {
                session.renew(renewed)?;
                user
            }
            None => return Ok(None),
        },
        SessionUser::Nobody => return Ok(None),
        SessionUser::Stale => {
            auth.sessions.delete(key).await?;
            session.remove_cookie();
            return Ok(None);
        }
    };
    Ok(Some(CurrentUser {
        user,
        authentication: Authentication::Session,
    }))
}

fn auth(request: &ServiceRequest) -> Result<&Auth, ApiError> {
    request
        .app_data::<web::Data<Auth>>()
        .map(|auth| auth.get_ref())
        .ok_or(ApiError::Unavailable)
}
