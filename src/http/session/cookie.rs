//! Django's bare `sessionid` outside, actix-session's signed one inside.
//!
//! actix-session only takes cookies that it has signed. So the key that a client presents
//! is signed on the way in, with a key of this process, and the signature is stripped on
//! the way out. What protects a session is the key's 165 bits, as in Django.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use crate::auth::SessionKey;
use crate::http::request::authorization;
use crate::http::request::cookies::{Presented, RequestCookies};
use crate::http::response::error::ApiError;
use crate::http::response::set_cookie::SetCookie;

/// How the session cookie looks; shared by all workers.
pub struct SessionCookie {
    /// `sessionid`, or what the settings say.
    pub name: String,
    /// Whether browsers send it over https only.
    pub secure: bool,
    /// Seconds that browsers keep it.
    pub max_age: i64,
    /// Signs the inner cookie; random, since it never leaves the process.
    pub key: Key,
}

/// In a request's extensions: the answer removes the session cookie.
struct Remove;

/// In a request's extensions: how long browsers keep this session's cookie.
#[derive(Clone, Copy)]
struct MaxAge(Option<i64>);

/// Makes the answer to this request remove the session cookie.
pub fn remove(request: &HttpRequest) {
    request.extensions_mut().insert(Remove);
}

/// Makes browsers keep the cookie of this answer for so many seconds; without, until they
/// are closed.
pub fn set_max_age(request: &HttpRequest, seconds: Option<i64>) {
    request.extensions_mut().insert(MaxAge(seconds));
}

/// The middleware, outside of actix-session's.
pub async fn translate(
    cookie: web::Data<SessionCookie>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let cookies = RequestCookies::of(&request, &cookie.name);
    let inner = match &cookies.session {
        // A token decides alone: a session next to it is not looked up.
        Presented::Key(key) if !authorization::has_token(request.headers()) => {
            Some(cookie.signed(key.expose()))
        }
        Presented::Unusable => {
            remove(request.request());
            None
        }
        _ => None,
    };
    request.headers_mut().remove(COOKIE);
    if let Some(value) = inner.and_then(|text| HeaderValue::from_str(&text).ok()) {
        request.headers_mut().insert(COOKIE, value);
    }
    request.extensions_mut().insert(cookies);

    // Handlers answer; only the session store can fail here, after one.
    let mut response = next.call(request).await.map_err(|error| {
        tracing::error!(%error, "the session store did not answer");
        ApiError::Unavailable
    })?;
    let (is_removed, max_age) = {
        let extensions = response.request().extensions();
        let max_age = extensions.get::<MaxAge>().map(|age| age.0);
        (extensions.get::<Remove>().is_some(), max_age)
    };
    let max_age = max_age.unwrap_or(Some(cookie.max_age));
    cookie.strip(response.headers_mut(), is_removed, max_age);
    Ok(response)
}

impl SessionCookie {
    fn signed(&self, key: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.key)
            .add(Cookie::new(self.name.clone(), key.to_owned()));
        // Unescaped: a name, base64 and a session key all fit into a cookie.
        jar.get(&self.name)
            .map(|cookie| format!("{}={}", self.name, cookie.value()))
            .unwrap_or_default()
    }

    /// Writes the session cookie that goes out as Django writes it.
    fn strip(&self, headers: &mut HeaderMap, is_removed: bool, max_age: Option<i64>) {
        if !is_removed && !headers.contains_key(SET_COOKIE) {
            return;
        }
        let ours = format!("{}=", self.name);
        let is_ours = |value: &HeaderValue| value.as_bytes().starts_with(ours.as_bytes());
        let (session, others): (Vec<_>, Vec<_>) = headers.remove(SET_COOKIE).partition(is_ours);
        for value in others {
            headers.append(SET_COOKIE, value);
        }
        if session.is_empty() && !is_removed {
            return;
        }
        let key = session.last().and_then(|value| self.key_in(value));
        let (value, max_age) = match &key {
            Some(key) => (key.expose(), max_age),
            None => ("\"\"", Some(0)),
        };
        let cookie = SetCookie {
            name: &self.name,
            value,
            max_age,
            // Django does not say so of a cookie that it removes.
            http_only: key.is_some(),
            secure: self.secure,
        };
        cookie.append_to(headers);
    }

    /// The session key in an inner cookie; `None` if it removes the session.
    fn key_in(&self, value: &HeaderValue) -> Option<SessionKey> {
        let cookie = Cookie::parse_encoded(value.to_str().ok()?).ok()?;
        let mut jar = CookieJar::new();
        jar.add_original(cookie.into_owned());
        SessionKey::parse(jar.signed(&self.key).get(&self.name)?.value())
    }
}
