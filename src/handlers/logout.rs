//! Logging out: the seed's `LogoutView`, and the button.

use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::auth::{Auth, Client};
use crate::http::cookies::RequestCookies;
use crate::http::error::ApiError;
use crate::http::extract::CurrentUser;
use crate::http::page::html;
use crate::http::pages::SignedOutPage;
use crate::http::{json, session_cookie};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// `POST /api/v1/logout/` and `POST /logout/`: the token and the session end
/// together. The body is not read.
pub async fn submit_logout(
    auth: web::Data<Auth>,
    request: HttpRequest,
    session: Session,
    user: CurrentUser,
    client: Client,
) -> Result<HttpResponse, ApiError> {
    log_out(&auth, &request, &session, &user, &client).await?;
    let answer = json!({"message": "Logged out successfully"});
    Ok(json::response(StatusCode::OK, &answer))
}

/// `POST /logout/` from a page. Someone who is logged out already sees the
/// same page.
pub async fn submit_logout_form(
    auth: web::Data<Auth>,
    request: HttpRequest,
    session: Session,
    user: Option<CurrentUser>,
    client: Client,
) -> Result<HttpResponse, ApiError> {
    if let Some(user) = user {
        log_out(&auth, &request, &session, &user, &client).await?;
    }
    let mut response = html(StatusCode::OK, &SignedOutPage);
    let cleared = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert(CLEAR_SITE_DATA, cleared);
    Ok(response)
}

async fn log_out(
    auth: &Auth,
    request: &HttpRequest,
    session: &Session,
    user: &CurrentUser,
    client: &Client,
) -> Result<(), ApiError> {
    let presented = RequestCookies::from_extensions(request)
        .session_key()
        .cloned();
    if presented.is_some() {
        session_cookie::forget(request);
    }
    auth.log_out(&user.user, presented, client).await?;
    session.purge();
    Ok(())
}
