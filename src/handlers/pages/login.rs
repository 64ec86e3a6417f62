//! The login page and its form.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{Auth, AuthError, Client, LoginWith};
use crate::http::request::body::Body;
use crate::http::request::next_path::NextPath;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{LoginPage, html, see_other};
use crate::http::session::browser_session::BrowserSession;

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

fn wrong(login_with: LoginWith) -> &'static str {
    match login_with {
        LoginWith::Username => "The username or the password is not right.",
        LoginWith::Email => "The e-mail address or the password is not right.",
        LoginWith::Either => "The name or the password is not right.",
    }
}

/// `refused` is the name that was typed before, and the message.
fn form(
    status: StatusCode,
    auth: &Auth,
    session: &BrowserSession,
    next: &NextPath,
    refused: Option<(&str, &str)>,
) -> HttpResponse {
    let secret = session.form_secret();
    let page = LoginPage {
        csrf_token: &secret.token(),
        next: next.as_str(),
        login_with: auth.login_with,
        username: refused.map_or("", |(typed, _)| typed),
        error: refused.map(|(_, message)| message),
    };
    secret.set_on(html(status, &page))
}
