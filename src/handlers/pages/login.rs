//! The login page and its form.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{Auth, AuthError, Client, LoginWith};
use crate::http::request::body::Body;
use crate::http::request::current_user::CurrentUser;
use crate::http::request::next_path::NextPath;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{LoginPage, Problem, html, see_other};
use crate::http::session::browser_session::BrowserSession;

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
    auth: web::Data<Auth>,
    session: BrowserSession,
    query: Option<web::Query<LoginQuery>>,
) -> HttpResponse {
    let next = NextPath::parse(query.as_ref().map_or("", |query| &query.next));
    form(StatusCode::OK, &auth, &session, &next, None)
}

/// `POST /login/` from the form: on to `next`, or the form again with one error for all.
pub async fn submit_login(
    auth: web::Data<Auth>,
    session: BrowserSession,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let credentials = body.credentials(auth.login_with)?;
    let next = NextPath::parse(body.text("next").unwrap_or_default());
    let login = auth
        .log_in(&credentials, session.key().cloned(), &client)
        .await;
    match login {
        Ok(login) => Ok(session.start(see_other(next.or_default()), &login, &client)),
        Err(AuthError::InvalidCredentials) => {
            let typed = body.name(auth.login_with).and_then(Value::as_str);
            let error = (typed.unwrap_or_default(), wrong(auth.login_with));
            Ok(form(
                StatusCode::BAD_REQUEST,
                &auth,
                &session,
                &next,
                Some(error),
            ))
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
    let credentials = body.credentials(auth.login_with)?;
    let next = NextPath::parse(body.text("next").unwrap_or_default());
    let user = user.filter(|user| user.token().is_none());
    if let (Some(user), Some(name)) = (user, credentials.username()) {
        // Who wants to be another user must not go on as this one.
        let named = auth.users.find(name).await?;
        if named.is_some_and(|named| named.id == user.user.id) {
            return Ok(see_other(next.or_default()));
        }
    }
    let typed = body.name(auth.login_with).and_then(Value::as_str);
    let refused = Some((typed.unwrap_or_default(), TOO_OLD));
    Ok(form(StatusCode::FORBIDDEN, &auth, &session, &next, refused))
}

fn wrong(login_with: LoginWith) -> Problem<'static> {
    Problem::Wrong(match login_with {
        LoginWith::Username => "The username or the password is not right.",
        LoginWith::Email => "The e-mail address or the password is not right.",
        LoginWith::Either => "The name or the password is not right.",
    })
}

/// `refused` is the name that was typed before, and what is wrong.
fn form(
    status: StatusCode,
    auth: &Auth,
    session: &BrowserSession,
    next: &NextPath,
    refused: Option<(&str, Problem<'_>)>,
) -> HttpResponse {
    let secret = session.form_secret();
    let page = LoginPage {
        csrf_token: &secret.token(),
        next: next.as_str(),
        login_with: auth.login_with,
        username: refused.map_or("", |(typed, _)| typed),
        problem: refused.map(|(_, problem)| problem),
    };
    secret.set_on(html(status, &page))
}
