//! Logging out: the reference app's `LogoutView`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::auth::{Auth, Client};
use crate::http::request::current_user::CurrentUser;
use crate::http::response::error::ApiError;
use crate::http::response::json;
use crate::http::session::browser_session::BrowserSession;

/// `POST /api/v1/logout/` and `POST /logout/`: ends the token and the session; reads no
/// body.
pub async fn submit_logout(
    auth: web::Data<Auth>,
    user: CurrentUser,
    session: BrowserSession,
    client: Client,
) -> Result<HttpResponse, ApiError> {
    auth.log_out(&user.user, user.token(), session.give_up_key(), &client)
        .await?;
    session.end();
    Ok(json::ok(&json!({"message": "Logged out successfully"})))
}
