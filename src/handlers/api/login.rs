//! Logging in: the reference app's `LoginView`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::auth::{Auth, Client};
use crate::http::request::body::Body;
use crate::http::response::error::ApiError;
use crate::http::response::json;
use crate::http::session::browser_session::BrowserSession;

/// `POST /api/v1/login/` and `POST /login/`: a token and a session in one step. Every
/// refused login gets the same 400.
pub async fn submit_login(
    auth: web::Data<Auth>,
    session: BrowserSession,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let credentials = body.credentials(auth.login_with)?;
    let login = auth
        .log_in(&credentials, session.key().cloned(), &client)
        .await?;
    let answer = json!({"message": "user logged in", "token": login.token.expose()});
    Ok(session.start(json::ok(&answer), &login, &client))
}
