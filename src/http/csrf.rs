//! Cross-site request forgery: Django's cookie and token, and the browser's
//! own word (`Origin`, `Sec-Fetch-Site`) on where a request comes from.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER, SET_COOKIE,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use django_auth::csrf::{FormatError, check_format, matches, new_secret};
use url::Url;

use super::cookies::RequestCookies;
use super::error::ApiError;
use super::session_cookie::expires_in;

/// Name of the cookie that holds the secret.
pub const COOKIE: &str = "csrftoken";
/// Name of the form field.
pub const FIELD: &str = "csrfmiddlewaretoken";
/// Django keeps the cookie for a year, to the week.
const MAX_AGE: i64 = 31_449_600;

const HEADER: HeaderName = HeaderName::from_static("x-csrftoken");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where requests may come from; shared by all workers.
pub struct Csrf {
    /// What browsers see.
    pub public_url: Url,
    /// Django's `CSRF_TRUSTED_ORIGINS`, `https://*.example.org` included.
    pub trusted_origins: Vec<String>,
    /// Origins that CORS lets in, which are trusted to log in, too.
    pub cors_origins: Vec<String>,
}

/// What a browser says of where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// From our own pages, or from a trusted origin.
    Ours,
    /// Nothing: an old browser, or no browser at all.
    Unknown,
    /// From somebody else's page.
    Foreign,
}

impl Csrf {
    /// Judges `Origin`, and where there is none, `Sec-Fetch-Site`.
    pub fn site(&self, headers: &HeaderMap) -> Site {
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            return if self.trusts(origin, headers) || self.cors_origins.iter().any(|o| o == origin)
            {
                Site::Ours
            } else {
                Site::Foreign
            };
        }
        match headers.get(SEC_FETCH_SITE).map(|value| value.as_bytes()) {
            None => Site::Unknown,
            // `none` is the user's own doing: an address typed, a bookmark.
            Some(b"same-origin" | b"none") => Site::Ours,
            Some(_) => Site::Foreign,
        }
    }

    /// Django's whole check of a write that a session authenticates.
    ///
    /// `field` is the form's token, which goes before the header's.
    pub fn check(
        &self,
        headers: &HeaderMap,
        cookie: Option<&str>,
        field: Option<&str>,
    ) -> Result<(), ApiError> {
        self.check_origin(headers)
            .and_then(|()| check_token(headers, cookie, field))
            .map_err(|reason| ApiError::Forbidden(format!("CSRF Failed: {reason}")))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), String> {
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            return if self.trusts(&origin, headers) {
                Ok(())
            } else {
                Err(format!(
                    "Origin checking failed - {origin} does not match any trusted origins."
                ))
            };
        }
        if self.public_url.scheme() == "https" {
            self.check_referer(headers)
                .map_err(|reason| format!("Referer checking failed - {reason}"))?;
        }
        // Django stops here; what a browser adds is taken as well.
        if self.site(headers) == Site::Foreign {
            return Err("the browser says that the request is cross-site.".to_owned());
        }
        Ok(())
    }

    fn check_referer(&self, headers: &HeaderMap) -> Result<(), String> {
        let referer = headers.get(REFERER).ok_or("no Referer.")?;
        let referer = String::from_utf8_lossy(referer.as_bytes());
        let url = Url::parse(&referer).map_err(|_| "Referer is malformed.")?;
        if url.host_str().is_none() {
            return Err("Referer is malformed.".to_owned());
        }
        if url.scheme() != "https" {
            return Err("Referer is insecure while host is secure.".to_owned());
        }
        if self.trusts(&url.origin().ascii_serialization(), headers) {
            Ok(())
        } else {
            Err(format!("{referer} does not match any trusted origins."))
        }
    }

    /// Whether an origin is ours or trusted: equal to the letter, or under a
    /// wildcard, which takes the domain itself too.
    fn trusts(&self, origin: &str, headers: &HeaderMap) -> bool {
        let own = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .map(|host| format!("{}://{host}", self.public_url.scheme()));
        own.as_deref() == Some(origin)
            || self.public_url.origin().ascii_serialization() == origin
            || self
                .trusted_origins
                .iter()
                .any(|trusted| match trusted.split_once("*.") {
                    None => trusted == origin,
                    Some((scheme, domain)) => origin.strip_prefix(scheme).is_some_and(|host| {
                        host == domain
                            || host
                                .strip_suffix(domain)
                                .is_some_and(|rest| rest.ends_with('.'))
                    }),
                })
    }
}

fn check_token(
    headers: &HeaderMap,
    cookie: Option<&str>,
    field: Option<&str>,
) -> Result<(), String> {
    let cookie = cookie.ok_or("CSRF cookie not set.")?;
    check_format(cookie).map_err(|error| format!("CSRF cookie {}.", problem(error)))?;
    let header = headers
        .get(HEADER)
        .map(|value| value.to_str().unwrap_or("?"));
    let field = field.filter(|text| !text.is_empty());
    let (sent, place) = match (field, header) {
        (Some(field), _) => (field, "POST"),
        (None, Some(header)) => (header, "the 'X-Csrftoken' HTTP header"),
        (None, None) => return Err("CSRF token missing.".to_owned()),
    };
    let from = |problem: &str| format!("CSRF token from {place} {problem}.");
    check_format(sent).map_err(|error| from(problem(error)))?;
    if matches(sent, cookie) {
        Ok(())
    } else {
        Err(from("incorrect"))
    }
}

fn problem(error: FormatError) -> &'static str {
    match error {
        FormatError::IncorrectLength => "has incorrect length",
        FormatError::InvalidCharacters => "has invalid characters",
    }
}

/// Gives the browser this secret.
pub fn give(headers: &mut HeaderMap, secret: &str, csrf: &Csrf) {
    let secure = match csrf.public_url.scheme() {
        "https" => "; Secure",
        _ => "",
    };
    let text = format!(
        "{COOKIE}={secret}; expires={}; Max-Age={MAX_AGE}; Path=/; SameSite=Lax{secure}",
        expires_in(MAX_AGE)
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(SET_COOKIE, value);
    }
}

/// Gives the browser a new secret, as Django does at each login: a token that
/// was known before the login is void after it.
pub fn rotate(response: &mut HttpResponse, csrf: &Csrf) {
    let secret = new_secret(&mut rand::rng());
    give(response.headers_mut(), &secret, csrf);
}

/// The middleware: a cookie that cannot be a secret is replaced with any
/// answer, as Django does it, or its browser could never write again.
pub async fn replace_malformed(
    csrf: web::Data<Csrf>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_malformed = request
        .extensions()
        .get::<RequestCookies>()
        .and_then(|cookies| cookies.csrf.as_deref())
        .is_some_and(|text| check_format(text).is_err());
    let mut response = next.call(request).await?;
    if is_malformed && !is_given(response.headers()) {
        let secret = new_secret(&mut rand::rng());
        give(response.headers_mut(), &secret, &csrf);
    }
    Ok(response)
}

fn is_given(headers: &HeaderMap) -> bool {
    headers
        .get_all(SET_COOKIE)
        .filter_map(|value| value.as_bytes().strip_prefix(COOKIE.as_bytes()))
        .any(|rest| rest.starts_with(b"="))
}
