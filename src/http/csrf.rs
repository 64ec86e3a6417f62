//! Cross-site request forgery: Django's cookie and token, and the browser's own word
//! (`Origin`, `Sec-Fetch-Site`) on where a request comes from.

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};
use actix_web::{HttpMessage, HttpResponse};
use url::Url;

use super::request::cookies::RequestCookies;
use super::request::{body, is_within, payload, shared};
use super::response::error::ApiError;
use super::response::set_cookie::SetCookie;
use django_auth::csrf::{COOKIE_NAME, FIELD_NAME, check_format, mask, matches, new_secret};

/// A year of 52 weeks, as in Django.
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
    /// From another site's page.
    Foreign,
}

impl Csrf {
    /// Whether browsers see https.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// Judges `Origin`, and where there is none, `Sec-Fetch-Site`.
    pub fn site(&self, headers: &HeaderMap) -> Site {
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let is_cors = self.cors_origins.iter().any(|known| known == origin);
            return match is_cors || self.trusts(origin, headers) {
                true => Site::Ours,
                false => Site::Foreign,
            };
        }
        match headers.get(SEC_FETCH_SITE).map(|value| value.as_bytes()) {
            None => Site::Unknown,
            // `none` is the user's own doing: an address typed, a bookmark.
            Some(b"same-origin" | b"none") => Site::Ours,
            Some(_) => Site::Foreign,
        }
    }

    /// `field` is the form's token, which goes before the header's.
    fn check(
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
            if self.trusts(&origin, headers) {
                return Ok(());
            }
            let reason = format!("{origin} does not match any trusted origins.");
            return Err(format!("Origin checking failed - {reason}"));
        }
        if self.is_https() {
            self.check_referer(headers)
                .map_err(|reason| format!("Referer checking failed - {reason}"))?;
        }
        // Django stops here; we also take the browser's own word.
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

    /// Whether an origin is ours or trusted: equal, or under a wildcard or its very
    /// domain.
    fn trusts(&self, origin: &str, headers: &HeaderMap) -> bool {
        let own = headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = own.map(|host| format!("{}://{host}", self.public_url.scheme()));
        let fits = |trusted: &String| match trusted.split_once("*.") {
            None => trusted == origin,
            Some((scheme, domain)) => origin
                .strip_prefix(scheme)
                .is_some_and(|host| is_within(host, domain)),
        };
        own.as_deref() == Some(origin)
            || self.public_url.origin().ascii_serialization() == origin
            || self.trusted_origins.iter().any(fits)
    }
}

fn check_token(
    headers: &HeaderMap,
    cookie: Option<&str>,
    field: Option<&str>,
) -> Result<(), String> {
    let cookie = cookie.ok_or("CSRF cookie not set.")?;
    check_format(cookie).map_err(|error| format!("CSRF cookie {error}"))?;
    let header = headers.get(HEADER);
    let header = header.map(|value| value.to_str().unwrap_or("?"));
    let field = field.filter(|text| !text.is_empty());
    let (sent, source) = match (field, header) {
        (Some(field), _) => (field, "POST"),
        (None, Some(header)) => (header, "the 'X-Csrftoken' HTTP header"),
        (None, None) => return Err("CSRF token missing.".to_owned()),
    };
    check_format(sent).map_err(|error| format!("CSRF token from {source} {error}"))?;
    if matches(sent, cookie) {
        Ok(())
    } else {
        Err(format!("CSRF token from {source} incorrect."))
    }
}

/// Django's check of a write that a session authenticates. The token may be in a form, so
/// this reads the body, and puts it back for the handler.
pub async fn check(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let mut field = None;
    if request.method() == Method::POST && body::is_form(request.headers()) {
        let bytes = payload::received(request.take_payload()).await?;
        let form = body::parse_form(request.headers(), bytes.clone()).await;
        field = form.and_then(|form| form.text(FIELD_NAME).map(str::to_owned));
        request.set_payload(Payload::from(bytes));
    }
    let cookie = RequestCookies::from_extensions(request).csrf;
    let policy = shared::<Csrf>(request.request())?;
    policy.check(request.headers(), cookie.as_deref(), field.as_deref())
}

/// Marks a request whose form is our own but for its token: see [`is_stale_form`].
pub struct StaleForm;

/// Whether a form that [`check`] has refused lacks nothing but the right token, as after
/// a login in another tab. What any header calls another site's is not stale but foreign.
pub fn is_stale_form(request: &ServiceRequest, refusal: &ApiError) -> Result<bool, ApiError> {
    let policy = shared::<Csrf>(request.request())?;
    let headers = request.headers();
    let is_own = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    Ok(matches!(refusal, ApiError::Forbidden(_))
        && body::is_form(headers)
        && headers.get_all(SEC_FETCH_SITE).all(is_own)
        && policy.check_origin(headers).is_ok())
}

/// Refuses a login that a page of another site has sent.
pub fn forbid_other_sites(request: &ServiceRequest) -> Result<(), ApiError> {
    let policy = shared::<Csrf>(request.request())?;
    let reason = "CSRF Failed: a page of another site may not log in here.";
    match policy.site(request.headers()) {
        Site::Ours | Site::Unknown => Ok(()),
        Site::Foreign => Err(ApiError::Forbidden(reason.to_owned())),
    }
}

/// Whether no other site can have made a browser send this request: it has no CSRF
/// cookie, and does not say where it comes from.
pub fn is_program(request: &ServiceRequest) -> Result<bool, ApiError> {
    let policy = shared::<Csrf>(request.request())?;
    let has_cookie = RequestCookies::from_extensions(request).csrf.is_some();
    Ok(!has_cookie && policy.site(request.headers()) == Site::Unknown)
}

/// Gives the browser a new secret, as Django does at each login: it voids older tokens.
pub fn rotate(headers: &mut HeaderMap, csrf: &Csrf) {
    give(headers, &new_secret(&mut rand::rng()), csrf);
}

fn give(headers: &mut HeaderMap, secret: &str, csrf: &Csrf) {
    let cookie = SetCookie {
        name: COOKIE_NAME,
        value: secret,
        max_age: Some(MAX_AGE),
        http_only: false,
        secure: csrf.is_https(),
    };
    cookie.append_to(headers);
}

/// The secret behind a page's forms: the browser's, or a new one.
pub struct FormSecret<'a> {
    csrf: &'a Csrf,
    secret: String,
    is_new: bool,
}

impl<'a> FormSecret<'a> {
    /// Takes the secret out of the browser's cookie, if it is a good one.
    pub fn of(request: &impl HttpMessage, csrf: &'a Csrf) -> Self {
        let cookie = RequestCookies::from_extensions(request)
            .csrf
            .filter(|text| text.len() == 32 && check_format(text).is_ok());
        let is_new = cookie.is_none();
        Self {
            csrf,
            secret: cookie.unwrap_or_else(|| new_secret(&mut rand::rng())),
            is_new,
        }
    }

    /// The text for one form's hidden field, masked anew each time.
    pub fn token(&self) -> String {
        mask(&self.secret, &mut rand::rng())
    }

    /// Gives the browser the cookie, if it has none.
    pub fn set_on(&self, mut response: HttpResponse) -> HttpResponse {
        if self.is_new {
            give(response.headers_mut(), &self.secret, self.csrf);
        }
        response
    }
}
