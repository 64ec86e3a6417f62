//! Logging in: the seed's `LoginView`, and the form.

use actix_identity::Identity;
use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::auth::login::LogIn;
use crate::auth::{Auth, Client, Credentials};
use crate::http::body::Body;
use crate::http::cookies::RequestCookies;
use crate::http::csrf::{self, Csrf};
use crate::http::device_cookie;
use crate::http::error::ApiError;
use crate::http::next_path::NextPath;
use crate::http::page::{FormSecret, html, see_other};
use crate::http::pages::LoginPage;
use crate::http::session_cookie::SessionCookie;
use crate::http::{json, session_store};

const WRONG: &str = "The username or the password is not right.";

/// `POST /api/v1/login/` and `POST /login/`: a token and a session in one step.
///
/// # Errors
///
/// 400 `{"error":"Invalid credentials"}` for every login that is refused; 429
/// after too many of them; 503 while the passwords of others are being hashed
/// or the database is away.
pub async fn submit_login(
    auth: web::Data<Auth>,
    csrf: web::Data<Csrf>,
    cookie: web::Data<SessionCookie>,
    request: HttpRequest,
    session: Session,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let login = log_in(&auth, &request, &session, &client, &body).await?;
    let answer = json!({"message": "user logged in", "token": login.token.expose()});
    let mut response = json::response(StatusCode::OK, &answer);
    add_cookies(&mut response, &client, &csrf, &cookie);
    Ok(response)
}

/// The part of the query that the login page reads.
#[derive(Deserialize)]
pub struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// `GET /login/` for a browser: the form, also for someone who is logged in
/// and wants to be somebody else.
pub async fn show_login(
    csrf: web::Data<Csrf>,
    request: HttpRequest,
    query: Option<web::Query<LoginQuery>>,
) -> HttpResponse {
    let next = NextPath::parse(query.as_ref().map_or("", |query| &query.next));
    form(StatusCode::OK, &csrf, &request, &next, "", None)
}

/// `POST /login/` from the form: on to `next`, or the form again with one
/// error that does not say what was wrong.
pub async fn submit_login_form(
    auth: web::Data<Auth>,
    csrf: web::Data<Csrf>,
    cookie: web::Data<SessionCookie>,
    request: HttpRequest,
    session: Session,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let next = NextPath::parse(body.text("next").unwrap_or_default());
    match log_in(&auth, &request, &session, &client, &body).await {
        Ok(_) => {
            let mut response = see_other(next.or_default());
            add_cookies(&mut response, &client, &csrf, &cookie);
            Ok(response)
        }
        Err(error @ ApiError::BadRequest(_)) => {
            let username = body.text("username").unwrap_or_default();
            let status = error.status();
            Ok(form(status, &csrf, &request, &next, username, Some(WRONG)))
        }
        Err(error) => Err(error),
    }
}

/// Checks the credentials in a body and puts the new session in the place of
/// the one that the request came with.
async fn log_in(
    auth: &Auth,
    request: &HttpRequest,
    session: &Session,
    client: &Client,
    body: &Body,
) -> Result<LogIn, ApiError> {
    let credentials = credentials_in(body)?;
    let presented = RequestCookies::from_extensions(request)
        .session_key()
        .cloned();
    let login = auth.log_in(&credentials, presented, client).await?;
    // From here on nothing may fail: the login is stored.
    let stored = Identity::login(&request.extensions(), login.user.to_string())
        .map_err(|error| tracing::error!(%error, "the session does not take an identity"))
        .and_then(|_| {
            session_store::announce(session, &login.session)
                .map_err(|error| tracing::error!(%error, "the session does not take its key"))
        });
    stored.map_err(|()| ApiError::Unavailable)?;
    Ok(login)
}

/// What a browser gets with a good login, besides its session.
fn add_cookies(response: &mut HttpResponse, client: &Client, csrf: &Csrf, cookie: &SessionCookie) {
    csrf::rotate(response, csrf);
    if let Some(device) = &client.device {
        device_cookie::give(response.headers_mut(), device, cookie.secure);
    }
}

/// Only texts are credentials. A body that is no object is not one at all.
pub(super) fn credentials_in(body: &Body) -> Result<Credentials, ApiError> {
    match body {
        Body::Json(value) if !value.is_object() => Err(ApiError::Parse(
            "JSON parse error - expected an object with username and password".to_owned(),
        )),
        body => Ok(Credentials::new(
            body.text("username").map(str::to_owned),
            body.text("password").map(str::to_owned),
        )),
    }
}

fn form(
    status: StatusCode,
    csrf: &Csrf,
    request: &HttpRequest,
    next: &NextPath,
    username: &str,
    error: Option<&str>,
) -> HttpResponse {
    let secret = FormSecret::of(request);
    let page = LoginPage {
        csrf_token: &secret.token(),
        next: next.as_str(),
        username,
        error,
    };
    secret.set_on(html(status, &page), csrf)
}
