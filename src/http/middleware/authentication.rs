//! Who sends a request: DRF's `TokenAuthentication`, then its `SessionAuthentication`.

use std::sync::Arc;

use actix_web::dev::ServiceRequest;

use crate::auth::sessions::SessionUser;
use crate::auth::{Auth, Token};
use crate::http::request::current_user::{Authentication, CurrentUser};
use crate::http::request::{authorization, shared};
use crate::http::response::error::ApiError;
use crate::http::session::browser_session::BrowserSession;
use crate::models::user::User;

/// The user who sends the request; `None` if it names none.
pub async fn authenticate(request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    let (user, authentication) = match by_token(request).await? {
        Some((user, token)) => (Some(user), Authentication::Token(token)),
        None => (by_session(request).await?, Authentication::Session),
    };
    Ok(user.map(|user| CurrentUser {
        user,
        authentication,
    }))
}

async fn by_token(request: &ServiceRequest) -> Result<Option<(Arc<User>, Token)>, ApiError> {
    let header = authorization::header(request.headers());
    let Some(token) = authorization::token_in(&header)? else {
        return Ok(None);
    };
    let invalid = || ApiError::AuthenticationFailed("Invalid token.");
    let token = Token::parse(token).ok_or_else(invalid)?;
    let auth = shared::<Auth>(request.request())?;
    let user = auth.tokens.find_user(&token).await?.ok_or_else(invalid)?;
    if !user.is_active {
        return Err(ApiError::AuthenticationFailed("User inactive or deleted."));
    }
    Ok(Some((user, token)))
}

async fn by_session(request: &ServiceRequest) -> Result<Option<Arc<User>>, ApiError> {
    let session = BrowserSession::of(request.request())?;
    let (Some(key), Some(claim)) = (session.key(), session.claim()?) else {
        return Ok(None);
    };
    let auth = shared::<Auth>(request.request())?;
    match auth.sessions.find_user(key, &claim).await? {
        SessionUser::User(user) => Ok(Some(user)),
        SessionUser::UserOfOldKey(user) => match auth.sessions.renew(key, &user).await? {
            Some(renewed) => session.renew(renewed).map(|()| Some(user)),
            None => Ok(None),
        },
        SessionUser::Nobody => Ok(None),
        SessionUser::Stale => {
            auth.sessions.delete(key).await?;
            session.remove_cookie();
            Ok(None)
        }
    }
}
