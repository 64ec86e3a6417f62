//! The account page: who am I, and what is my token.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::auth::{Auth, Token};
use crate::http::body::Body;
use crate::http::csrf::Csrf;
use crate::http::error::ApiError;
use crate::http::extract::CurrentUser;
use crate::http::page::{FormSecret, html, see_other};
use crate::http::pages::{AccountPage, TokenView};

const LOGIN: &str = "/login/?next=/account/";

/// `GET /account/`: the page, without the token.
pub async fn show_account(
    auth: web::Data<Auth>,
    csrf: web::Data<Csrf>,
    request: HttpRequest,
    user: Option<CurrentUser>,
) -> Result<HttpResponse, ApiError> {
    match user {
        Some(user) => page(&auth, &csrf, &request, &user, false).await,
        None => Ok(see_other(LOGIN)),
    }
}

/// `POST /account/` with `show_token`: the page with the token on it.
pub async fn show_token(
    auth: web::Data<Auth>,
    csrf: web::Data<Csrf>,
    request: HttpRequest,
    user: Option<CurrentUser>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    match user {
        Some(user) => {
            let shows = body.text("show_token").is_some();
            page(&auth, &csrf, &request, &user, shows).await
        }
        None => Ok(see_other(LOGIN)),
    }
}

/// `GET /` for a browser: there is only one place to be.
pub async fn to_account() -> HttpResponse {
    see_other("/account/")
}

async fn page(
    auth: &Auth,
    csrf: &Csrf,
    request: &HttpRequest,
    user: &CurrentUser,
    shows_token: bool,
) -> Result<HttpResponse, ApiError> {
    let user = &user.user;
    let token = auth.tokens.find(user.id).await?;
    let last_login = auth.users.find_last_login(user.id).await?;
    let last_login = last_login.map(|at| at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string());
    let full_name = format!("{} {}", user.first_name, user.last_name);
    let secret = FormSecret::of(request);
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
    Ok(secret.set_on(html(StatusCode::OK, &page), csrf))
}
