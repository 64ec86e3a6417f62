//! The button that logs out.

use actix_web::http::StatusCode;
use actix_web::http::header::{CLEAR_SITE_DATA, HeaderValue};
use actix_web::{HttpResponse, web};

use crate::auth::{Auth, Client};
use crate::http::request::current_user::CurrentUser;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{SignedOutPage, html};
use crate::http::session::browser_session::BrowserSession;

/// `POST /logout/` from a page: the same page for a browser that is logged out already.
pub async fn submit_logout(
    auth: web::Data<Auth>,
    user: Option<CurrentUser>,
    session: BrowserSession,
    client: Client,
) -> Result<HttpResponse, ApiError> {
    if let Some(user) = user {
        auth.log_out(&user.user, user.token(), session.give_up_key(), &client)
            .await?;
        session.end();
    }
    let mut response = html(StatusCode::OK, &SignedOutPage);
    let cleared = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert(CLEAR_SITE_DATA, cleared);
    Ok(response)
}
