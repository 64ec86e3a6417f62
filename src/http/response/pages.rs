//! HTML pages: one struct for each template in `templates/`, which a handler fills.
//! Askama escapes every field. No page holds a script, an inline style or anything from
//! another origin: the `Content-Security-Policy` of `middleware::headers` forbids them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use askama::Template;

use super::error::ApiError;
use crate::auth::LoginWith;

/// Where the one stylesheet is served.
pub const STYLESHEET_URL: &str = "/static/portcullis.css";

/// Where the logo is served: the favicon, and the image in the header.
pub const FAVICON_URL: &str = "/static/favicon.svg";

/// `GET /login/`, and the same form again after a failed `POST`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage<'a> {
    /// The masked CSRF token for the hidden field.
    pub csrf_token: &'a str,
    /// Where to go after the login, checked; empty for the default.
    pub next: &'a str,
    /// What the first field takes.
    pub login_with: LoginWith,
    /// The name that was typed before; empty on the first visit.
    pub username: &'a str,
    /// Why the form comes again.
    pub problem: Option<Problem<'a>>,
}

/// Why the login form comes again, with the one sentence that says so.
#[derive(Clone, Copy)]
pub enum Problem<'a> {
    /// What was typed logs nobody in.
    Wrong(&'a str),
    /// The form was too old; what was typed may well be right.
    TooOld(&'a str),
}

impl Problem<'_> {
    fn message(&self) -> &str {
        match self {
            Self::Wrong(message) | Self::TooOld(message) => message,
        }
    }

    fn is_of_fields(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }
}

impl LoginPage<'_> {
    fn name_label(&self) -> &'static str {
        match self.login_with {
            LoginWith::Username => "Username",
            LoginWith::Email => "E-mail address",
            LoginWith::Either => "Username or e-mail address",
        }
    }

    /// What Django's columns have room for.
    fn longest_name(&self) -> u16 {
        if self.login_with.takes_emails() {
            254
        } else {
            150
        }
    }
}

/// `/account/`: who is logged in, their token on request, and the way out.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// The masked CSRF token for the hidden fields.
    pub csrf_token: &'a str,
    /// The name they log in with.
    pub username: &'a str,
    /// First and last name; left out when empty.
    pub full_name: &'a str,
    /// Left out when empty.
    pub email: &'a str,
    /// The time of the last login as text, such as `2026-11-22 11:59 UTC`.
    pub last_login: Option<&'a str>,
    /// What to show of the API token.
    pub token: TokenView<'a>,
}

/// What the account page shows of the API token.
#[derive(Clone, Copy)]
pub enum TokenView<'a> {
    /// There is one; a button asks for it.
    Hidden,
    /// The key itself, because they asked.
    Shown(&'a str),
    /// There is none: the next login makes one.
    None,
}

impl TokenView<'_> {
    /// Whether the user has a token, which a logout would end.
    fn exists(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// What `POST /logout/` from the account page leads to.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage;

/// Any refusal or failure, for a client that reads HTML.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// The HTTP status, shown small above the title.
    pub status: u16,
    /// What happened, in a few words.
    pub title: &'a str,
    /// What the reader can do about it.
    pub message: &'a str,
    /// Whether to offer the way to the account page.
    pub home: bool,
}

/// A page with this status.
pub fn html(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(text),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Django's own page for an error, to the byte.
pub fn django(status: StatusCode, title: &str, reason: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(format!("\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1><p>{reason}</p>\n</body>\n</html>\n"))
}

/// Sends the browser on, with GET.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}

/// The page for an error.
pub fn answer(error: &ApiError) -> HttpResponse {
    let mut response = match error {
        ApiError::Throttled(seconds) => throttled_page(*seconds),
        _ => error_page(error.status()),
    };
    error.add_headers(&mut response);
    response
}

/// The page for a refusal or a failure.
pub fn error_page(status: StatusCode) -> HttpResponse {
    let (title, message) = match status.as_u16() {
        400 => ("Bad request", "That request could not be understood."),
        401 => ("Please log in", "You are not logged in."),
        403 => (
            "Not allowed",
            "This form was sent from another site, or is too old. Go back, reload the page, and try again with cookies switched on.",
        ),
        404 => ("Page not found", "There is no page at this address."),
        405 => (
            "Not allowed",
            "This address does not take that kind of request.",
        ),
        408 => (
            "Too slow",
            "Your request took too long to arrive. Please try again.",
        ),
        413 => ("Too large", "That is more than this form takes."),
        415 => (
            "Bad request",
            "The form was sent in a format that is not known here.",
        ),
        503 => (
            "Busy right now",
            "The service is too busy to answer. Please try again in a moment.",
        ),
        _ => (
            "Something went wrong",
            "The service could not answer. Please try again.",
        ),
    };
    error_with(status, title, message)
}

fn throttled_page(seconds: u64) -> HttpResponse {
    let wait = match seconds.div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let message = format!(
        "Too many logins have failed. Please wait {wait} before you try again; until then no password is checked."
    );
    error_with(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", &message)
}

fn error_with(status: StatusCode, title: &str, message: &str) -> HttpResponse {
    let page = ErrorPage {
        status: status.as_u16(),
        title,
        message,
        home: true,
    };
    html(status, &page)
}

/// The `datetime` attribute for `2026-11-22 11:59 UTC`, where HTML wants a `Z`; `None`
/// for text in any other form.
fn machine_time(text: &str) -> Option<String> {
    let time = text.strip_suffix(" UTC")?;
    let is_numeric = |c: char| c.is_ascii_digit() || "-:. ".contains(c);
    time.chars().all(is_numeric).then(|| format!("{time}Z"))
}
