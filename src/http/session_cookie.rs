//! Django's bare `sessionid` outside, actix-session's signed one inside.
//!
//! actix-session only takes cookies that it has signed. So the key that a
//! client presents is signed on the way in, with a key of this process, and
//! the cookie that goes out is stripped of its signature. What protects a
//! session is the key's 165 bits, exactly as in Django.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use chrono::TimeDelta;

use super::authentication;
use super::cookies::{Presented, RequestCookies};
use super::error::ApiError;
use crate::auth::SessionKey;

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

/// Asks for the cookie's removal: put into the request's extensions by what
/// finds that its session is gone.
struct Forget;

/// Makes the answer to this request remove the session cookie.
pub fn forget(request: &HttpRequest) {
    request.extensions_mut().insert(Forget);
}

/// The middleware, outside of actix-session's.
pub async fn translate(
    cookie: web::Data<SessionCookie>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let cookies = RequestCookies::of(&request, &cookie.name);
    let inner = match &cookies.session {
        // A token decides alone; its session is not even looked at.
        Presented::Key(key) if !authentication::has_token(request.headers()) => {
            Some(cookie.signed(key.expose()))
        }
        Presented::Unusable => {
            forget(request.request());
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
    let forgotten = response.request().extensions().get::<Forget>().is_some();
    cookie.strip(response.headers_mut(), forgotten);
    Ok(response)
}

impl SessionCookie {
    fn signed(&self, key: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.key)
            .add(Cookie::new(self.name.clone(), key.to_owned()));
        // As it is: neither the name, nor base64, nor a session key has anything
        // that a cookie cannot hold.
        jar.get(&self.name)
            .map(|cookie| format!("{}={}", self.name, cookie.value()))
            .unwrap_or_default()
    }

    /// Writes each session cookie that goes out as Django writes it.
    fn strip(&self, headers: &mut HeaderMap, forgotten: bool) {
        if !forgotten && !headers.contains_key(SET_COOKIE) {
            return;
        }
        let ours = format!("{}=", self.name);
        let all: Vec<HeaderValue> = headers.get_all(SET_COOKIE).cloned().collect();
        let (session, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|value| value.as_bytes().starts_with(ours.as_bytes()));
        if session.is_empty() && !forgotten {
            return;
        }
        headers.remove(SET_COOKIE);
        for value in others {
            headers.append(SET_COOKIE, value);
        }
        let key = session.last().and_then(|value| self.key_in(value));
        let text = match key {
            Some(key) => self.setting(&key),
            None => self.removing(),
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(SET_COOKIE, value);
        }
    }

    /// The session key in an inner cookie; `None` if it removes the session.
    fn key_in(&self, value: &HeaderValue) -> Option<SessionKey> {
        let cookie = Cookie::parse_encoded(value.to_str().ok()?).ok()?;
        let mut jar = CookieJar::new();
        jar.add_original(cookie.into_owned());
        SessionKey::parse(jar.signed(&self.key).get(&self.name)?.value())
    }

    fn setting(&self, key: &SessionKey) -> String {
        let (name, value, max_age) = (&self.name, key.expose(), self.max_age);
        let expires = expires_in(max_age);
        let secure = self.secure_attribute();
        format!(
            "{name}={value}; expires={expires}; HttpOnly; Max-Age={max_age}; Path=/; SameSite={}{secure}",
            SameSite::Lax
        )
    }

    fn removing(&self) -> String {
        let secure = self.secure_attribute();
        format!(
            "{}=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax{secure}",
            self.name
        )
    }

    fn secure_attribute(&self) -> &'static str {
        if self.secure { "; Secure" } else { "" }
    }
}

/// A cookie's `expires`, that many seconds from now, as Django writes it.
pub fn expires_in(seconds: i64) -> String {
    let now = chrono::Utc::now();
    let then = now
        .checked_add_signed(TimeDelta::seconds(seconds))
        .unwrap_or(now);
    then.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
