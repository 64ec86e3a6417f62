//! The cookie that tells a known browser from a new one after a login, so that strangers
//! who fail at an account do not lock its owner out. It proves nothing and is no way in.
//! Django has none, so only browsers get it, and programs see Django's cookies alone.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::header::HeaderMap;

use crate::auth::Device;
use crate::http::request::cookies::DEVICE_COOKIE;
use crate::http::response::set_cookie;

const MAX_AGE: Duration = Duration::days(180);

/// Gives the browser the cookie, or prolongs it.
pub fn give(headers: &mut HeaderMap, device: &Device, secure: bool) {
    let cookie = Cookie::build(DEVICE_COOKIE, device.expose())
        .path("/")
        .max_age(MAX_AGE)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .finish();
    set_cookie::append(headers, &cookie.to_string());
}
