//! `Set-Cookie` headers, as Django writes them.

use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use chrono::{DateTime, TimeDelta, Utc};

/// A cookie for the whole site, `SameSite=Lax`.
pub struct SetCookie<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; `""` with quotes where Django removes a cookie.
    pub value: &'a str,
    /// Seconds that browsers keep it; 0 removes it, and without it goes when they close.
    pub max_age: Option<i64>,
    /// Whether scripts may not read it.
    pub http_only: bool,
    /// Whether browsers send it over https only.
    pub secure: bool,
}

impl SetCookie<'_> {
    /// Adds the cookie to an answer.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        let (name, value) = (self.name, self.value);
        let http_only = if self.http_only { "HttpOnly; " } else { "" };
        let secure = if self.secure { "; Secure" } else { "" };
        let [expires, max_age] = match self.max_age {
            Some(seconds) => [
                format!("expires={}; ", expires_in(seconds)),
                format!("Max-Age={seconds}; "),
            ],
            None => [String::new(), String::new()],
        };
        let rest = format!("{expires}{http_only}{max_age}Path=/; SameSite=Lax{secure}");
        append(headers, &format!("{name}={value}; {rest}"));
    }
}

/// Adds a cookie that is written already.
pub fn append(headers: &mut HeaderMap, cookie: &str) {
    // Names are checked at the start, and values are ours: all ASCII.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, value);
    }
}

fn expires_in(seconds: i64) -> String {
    let now = Utc::now();
    let then = match seconds {
        0 => Some(DateTime::UNIX_EPOCH),
        _ => now.checked_add_signed(TimeDelta::seconds(seconds)),
    };
    let then = then.unwrap_or(now);
    then.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
