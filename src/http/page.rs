//! Pages: answers for a person at a browser.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::LOCATION;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use askama::Template;
use django_auth::csrf as django_csrf;

use super::authentication::authenticate;
use super::cookies::RequestCookies;
use super::csrf::{self, Csrf, Site};
use super::error::ApiError;
use super::pages::ErrorPage;
use super::view::check_csrf;

/// The page for an error.
pub fn answer(error: &ApiError) -> HttpResponse {
    let mut response = match error {
        ApiError::Throttled(seconds) => throttled_page(*seconds),
        _ => error_page(error.status()),
    };
    error.add_headers(&mut response);
    response
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

/// The page for a refusal or a failure.
pub fn error_page(status: StatusCode) -> HttpResponse {
    let (title, message) = match status.as_u16() {
        400 => ("Bad request", "That request could not be understood."),
        401 => ("Please log in", "You are not logged in."),
        403 => (
            "Not allowed",
            "This form was sent from somewhere else, or is too old. Go back, reload the page, and try again with cookies switched on.",
        ),
        404 => ("Page not found", "There is no page at this address."),
        405 => (
            "Not allowed",
            "This address does not take that kind of request.",
        ),
        408 => (
            "Too slow",
            "That took too long to arrive. Please try again.",
        ),
        413 => ("Too large", "That was more than this form takes."),
        415 => (
            "Bad request",
            "The form was sent in a form that is not known here.",
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
    let page = ErrorPage {
        status: status.as_u16(),
        title,
        message,
        home: true,
    };
    html(status, &page)
}

fn throttled_page(seconds: u64) -> HttpResponse {
    let wait = match seconds.div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let status = StatusCode::TOO_MANY_REQUESTS;
    let page = ErrorPage {
        status: status.as_u16(),
        title: "Too many attempts",
        message: &format!(
            "Too many logins have failed. Please wait {wait} before you try again; what you enter until then is not looked at."
        ),
        home: true,
    };
    html(status, &page)
}

/// Sends the browser on, with GET.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}

/// The middleware of pages: finds out who is asking, and refuses forms that
/// another site has sent. Handlers and extractors give the API's errors; here
/// they become pages.
pub async fn serve(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Err(error) = prepare(&mut request).await {
        return Ok(request.into_response(answer(&error)));
    }
    let response = next.call(request).await?;
    let refused = response.response().error();
    match refused
        .and_then(|error| error.as_error::<ApiError>())
        .map(answer)
    {
        Some(page) => Ok(response.into_response(page)),
        None => Ok(response),
    }
}

async fn prepare(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let user = authenticate(request).await?;
    if request.method() == Method::POST {
        let csrf = request.app_data::<web::Data<Csrf>>();
        let site = csrf.map(|csrf| csrf.site(request.headers()));
        let has_cookie = RequestCookies::from_extensions(request).csrf.is_some();
        // Whoever has no session and no cookie of ours, and does not say where
        // the form is from, is no browser that anyone could have tricked.
        let is_program = user.is_none() && !has_cookie && site == Some(Site::Unknown);
        if !is_program {
            check_csrf(request).await?;
        }
    }
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    Ok(())
}

/// The secret behind a page's forms: the browser's, or a new one.
pub struct FormSecret {
    secret: String,
    is_new: bool,
}

impl FormSecret {
    /// Takes the secret out of the browser's cookie, if it is a good one.
    pub fn of(request: &impl HttpMessage) -> Self {
        let cookie = RequestCookies::from_extensions(request)
            .csrf
            .filter(|text| text.len() == 32 && django_csrf::check_format(text).is_ok());
        let is_new = cookie.is_none();
        Self {
            secret: cookie.unwrap_or_else(|| django_csrf::new_secret(&mut rand::rng())),
            is_new,
        }
    }

    /// The text for one form's hidden field, masked anew each time.
    pub fn token(&self) -> String {
        django_csrf::mask(&self.secret, &mut rand::rng())
    }

    /// Gives the browser the cookie, if it has none.
    pub fn set_on(&self, mut response: HttpResponse, csrf: &Csrf) -> HttpResponse {
        if self.is_new {
            csrf::give(response.headers_mut(), &self.secret, csrf);
        }
        response
    }
}
