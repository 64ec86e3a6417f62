//! The cookie by which a browser is known again after a login, so that
//! strangers who fail at the same account do not keep its owner out.
//!
//! It proves nothing and lets nobody in. Django has none, so only browsers get
//! it, and programs see Django's cookies alone.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use crate::auth::Device;

/// Name of the cookie.
pub const COOKIE: &str = "portcullis_device";
const MAX_AGE: Duration = Duration::days(180);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request is a browser's: they all say where it comes from.
pub fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE)
}

/// Gives the cookie to the browser, or prolongs it.
pub fn give(headers: &mut HeaderMap, device: &Device, secure: bool) {
    let cookie = Cookie::build(COOKIE, device.expose())
        .path("/")
        .max_age(MAX_AGE)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .finish();
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(SET_COOKIE, value);
    }
}
