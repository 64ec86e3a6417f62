//! The account page: the user, and their token on request.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use crate::auth::{Auth, Token};
use crate::http::request::body::Body;
use crate::http::request::current_user::CurrentUser;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{AccountPage, TokenView, html, see_other};
use crate::http::session::browser_session::BrowserSession;

/// `GET /account/`: the page, without the token.
pub async fn show_account(
    auth: web::Data<Auth>,
    user: CurrentUser,
    session: BrowserSession,
) -> Result<HttpResponse, ApiError> {
    page(&auth, &user, &session, false).await
}

/// `POST /account/` with `show_token`: the page with the token on it.
pub async fn show_token(
    auth: web::Data<Auth>,
    user: CurrentUser,
    session: BrowserSession,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    page(&auth, &user, &session, body.text("show_token").is_some()).await
}

/// `GET /` for a browser: there is only one place to be.
pub async fn to_account() -> HttpResponse {
    see_other("/account/")
}

async fn page(
    auth: &Auth,
    user: &CurrentUser,
    session: &BrowserSession,
    shows_token: bool,
) -> Result<HttpResponse, ApiError> {
    let user = &user.user;
    let token = auth.tokens.find(&user.id).await?;
    let last_login = auth.users.find_last_login(&user.id).await?;
    let last_login = last_login.map(|at| at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string());
    let full_name = format!("{} {}", user.first_name, user.last_name);
    let secret = session.form_secret();
    let page = AccountPage {
        csrf_token: &secret.token(),
        username: &user.username,
        full_name: full_name.trim(),
        email: &user.email,
        last_login: last_login.as_deref(),
        token: match token.as_ref().map(Token::expose) {
            None => TokenView::None,
            Some(text) if shows_token => TokenView::Shown(text),
            Some(_) => TokenView::Hidden,
        },
    };
    Ok(secret.set_on(html(StatusCode::OK, &page)))
}
