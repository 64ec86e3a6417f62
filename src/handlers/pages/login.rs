//! The login page and its form.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::auth::{Auth, AuthError, Client};
use crate::http::request::body::Body;
use crate::http::request::current_user::CurrentUser;
use crate::http::request::next_path::NextPath;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{LoginPage, Problem, html, see_other};
use crate::http::session::browser_session::BrowserSession;

const WRONG: Problem<'_> = Problem::Wrong("The username or the password is not right.");
const TOO_OLD: Problem<'_> = Problem::TooOld(
    "This page was too old, or cookies are switched off: please enter your password again.",
);

/// The part of the query that the login page reads.
#[derive(Deserialize)]
pub struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// `GET /login/`: the form, also for a user who is logged in and wants to be another.
pub async fn show_login(
    session: BrowserSession,
    query: Option<web::Query<LoginQuery>>,
) -> HttpResponse {
    let next = NextPath::parse(query.as_ref().map_or("", |query| &query.next));
    form(StatusCode::OK, &session, &next, "", None)
}

/// `POST /login/` from the form: on to `next`, or the form again with one error for all.
pub async fn submit_login(
    auth: web::Data<Auth>,
    session: BrowserSession,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let credentials = body.credentials()?;
    let next = NextPath::parse(body.text("next").unwrap_or_default());
    let login = auth
        .log_in(&credentials, session.key().cloned(), &client)
        .await;
    match login {
        Ok(login) => Ok(session.start(see_other(next.or_default()), &login, &client)),
        Err(AuthError::InvalidCredentials) => {
            let username = body.text("username").unwrap_or_default();
            let status = StatusCode::BAD_REQUEST;
            Ok(form(status, &session, &next, username, Some(WRONG)))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /login/` from a form whose CSRF token is too old, as after a login in another
/// tab. It logs nobody in or out: who is logged in goes on, others get a fresh form.
pub async fn renew_form(
    auth: web::Data<Auth>,
    user: Option<CurrentUser>,
    session: BrowserSession,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let credentials = body.credentials()?;
    let next = NextPath::parse(body.text("next").unwrap_or_default());
    let user = user.filter(|user| user.token().is_none());
    if let (Some(user), Some(name)) = (user, credentials.username()) {
        // Who wants to be another user must not go on as this one.
        let named = auth.users.find(name).await?;
        if named.is_some_and(|named| named.id == user.user.id) {
            return Ok(see_other(next.or_default()));
        }
    }
    let username = body.text("username").unwrap_or_default();
    let status = StatusCode::FORBIDDEN;
    Ok(form(status, &session, &next, username, Some(TOO_OLD)))
}

fn form(
    status: StatusCode,
    session: &BrowserSession,
    next: &NextPath,
    username: &str,
    problem: Option<Problem<'_>>,
) -> HttpResponse {
    let secret = session.form_secret();
    let page = LoginPage {
        csrf_token: &secret.token(),
        next: next.as_str(),
        username,
        problem,
    };
    secret.set_on(html(status, &page))
}
