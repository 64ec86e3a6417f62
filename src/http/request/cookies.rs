//! The cookies that we read, by Django's rules but for one: a name that comes twice is
//! ambiguous and counts as absent.

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{COOKIE, HeaderValue};

use crate::auth::{Device, SessionKey};

/// Our cookie that tells a known browser from a new one.
pub const DEVICE_COOKIE: &str = "portcullis_device";

/// The session cookie of a request.
#[derive(Clone, Default)]
pub enum Presented {
    /// None was sent.
    #[default]
    Absent,
    /// One was sent that cannot be a session's: it is deleted unread.
    Unusable,
    /// A well-formed key.
    Key(SessionKey),
}

/// The cookies of a request; in its extensions while it is answered.
#[derive(Clone, Default)]
pub struct RequestCookies {
    /// The session cookie.
    pub session: Presented,
    /// The text of the `csrftoken` cookie.
    pub csrf: Option<String>,
    /// The browser, if it has logged in before.
    pub device: Option<Device>,
}

impl RequestCookies {
    /// Reads the `Cookie` headers.
    pub fn of(request: &ServiceRequest, session_cookie: &str) -> Self {
        let mut headers = request.headers().get_all(COOKIE);
        let Some(header) = headers.next().map(HeaderValue::as_bytes) else {
            return Self::default();
        };
        // HTTP/1.1 clients send one header; two are as ambiguous as two names.
        if headers.next().is_some() {
            return Self {
                session: Presented::Unusable,
                ..Self::default()
            };
        }
        let session = match values(header, session_cookie).as_slice() {
            [] => Presented::Absent,
            [one] => SessionKey::parse(one).map_or(Presented::Unusable, Presented::Key),
            _ => Presented::Unusable,
        };
        let one = |name| <[String; 1]>::try_from(values(header, name)).ok();
        let one = |name| one(name).map(|[value]| value);
        Self {
            session,
            csrf: one(django_auth::csrf::COOKIE_NAME),
            device: one(DEVICE_COOKIE).and_then(|text| Device::parse(&text)),
        }
    }

    /// The cookies that were read when the request came in.
    pub fn from_extensions(request: &impl HttpMessage) -> Self {
        let extensions = request.extensions();
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The same with a renewed session's key, which a logout by this request must end.
    pub fn with_key(self, key: SessionKey) -> Self {
        let session = Presented::Key(key);
        Self { session, ..self }
    }

    /// The session key, if one was presented.
    pub fn session_key(&self) -> Option<&SessionKey> {
        match &self.session {
            Presented::Key(key) => Some(key),
            Presented::Absent | Presented::Unusable => None,
        }
    }
}

/// The first two values of a cookie.
fn values(header: &[u8], name: &str) -> Vec<String> {
    let pairs = header.split(|byte| *byte == b';').filter_map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        (trim(parts.next()?) == name.as_bytes()).then_some(unquote(trim(parts.next()?)))
    });
    let values = pairs.map(|value| String::from_utf8_lossy(value).into_owned());
    values.take(2).collect()
}

/// Trims ASCII blanks only: a name behind a Unicode space is another name.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

    fn key_in(headers: &[&str]) -> Option<String> {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header((COOKIE, *header));
        }
        let cookies = RequestCookies::of(&request.to_srv_request(), "sessionid");
        cookies.session_key().map(|key| key.expose().to_owned())
    }

    #[test]
    fn one_well_formed_cookie_is_read() {
        for header in [
            format!("sessionid={KEY}"),
            format!("a=b;  sessionid={KEY} ; c"),
            format!("sessionid=\"{KEY}\""),
        ] {
            assert_eq!(key_in(&[&header]).as_deref(), Some(KEY), "{header}");
        }
    }

    #[test]
    fn everything_else_is_nobody() {
        for headers in [
            vec![format!("sessionid={KEY}; sessionid={KEY}")],
            vec![format!("sessionid={KEY}"), "a=b".to_owned()],
            vec![format!("\u{2000}sessionid={KEY}")],
            vec![format!("%73essionid={KEY}")],
            vec![format!("Sessionid={KEY}")],
            vec!["sessionid=".to_owned()],
            vec!["sessionid=short12".to_owned()],
            vec![format!("sessionid={KEY}{KEY}")],
            vec!["sessionid=$ZTuxJF6Cj82k-lP81aPe9b12VOZR9UtBMrc9dOZ".to_owned()],
        ] {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            assert_eq!(key_in(&headers), None, "{headers:?}");
        }
    }
}
