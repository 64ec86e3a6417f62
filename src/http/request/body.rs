//! Request bodies as DRF's parsers read them: JSON, form-encoded, multipart.

use actix_web::dev::Payload;
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING,
};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use serde_json::{Map, Value};

use super::payload;
use crate::auth::{Credentials, LoginWith};
use crate::http::response::error::ApiError;

/// What is parsed, as DRF says it in an answer to OPTIONS.
pub const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];

/// Most fields of a form, as in Django.
const MAX_FIELDS: usize = 1000;

/// A parsed body. The last of two equal names counts.
#[derive(Debug)]
pub enum Body {
    /// A JSON document.
    Json(Value),
    /// A form without its files, or no body at all.
    Form(Map<String, Value>),
}

impl Body {
    /// A field, if the body is one that has fields.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Json(value) => value.get(name),
            Self::Form(fields) => fields.get(name),
        }
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// What someone logs in with. Where that may be an address, clients of dj-rest-auth
    /// call it `email`, and leave `username` out or empty.
    pub fn name(&self, login_with: LoginWith) -> Option<&Value> {
        let username = self.get("username");
        let is_missing = username.is_none_or(|value| value.is_null() || value == "");
        if is_missing && login_with.takes_emails() {
            return self.get("email").or(username);
        }
        username
    }

    /// The name and the password, if they are texts; JSON must be an object.
    pub fn credentials(&self, login_with: LoginWith) -> Result<Credentials, ApiError> {
        match self {
            Self::Json(value) if !value.is_object() => Err(ApiError::Parse(
                "JSON parse error - expected an object with username and password".to_owned(),
            )),
            body => Ok(Credentials::new(
                body.name(login_with)
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                body.text("password").map(str::to_owned),
            )),
        }
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (headers, payload) = (request.headers().clone(), payload.take());
        Box::pin(async move {
            // The type first, as in DRF.
            let kind = Kind::of(&headers)?;
            parse(kind, payload::received(payload).await?).await
        })
    }
}

/// Whether the body is a form, so that it may hold a CSRF token.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = Kind::of(headers);
    matches!(kind, Ok(Kind::Form | Kind::Multipart(Some(_))))
}

/// Parses the bytes of a form; `None` if they are none.
pub async fn parse_form(headers: &HeaderMap, bytes: Bytes) -> Option<Body> {
    parse(Kind::of(headers).ok()?, bytes).await.ok()
}

enum Kind {
    Empty,
    Json(Charset),
    Form,
    /// With the boundary.
    Multipart(Option<String>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Utf8Sig,
    Latin1,
    Utf16,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let is_empty = match headers.get(CONTENT_LENGTH) {
            Some(length) => length.as_bytes() == b"0",
            None => !headers.contains_key(TRANSFER_ENCODING),
        };
        if is_empty {
            return Ok(Self::Empty);
        }
        // Unpacking could go past the cap, so no encoded body is read.
        if let Some(coding) = headers.get(CONTENT_ENCODING) {
            let coding = String::from_utf8_lossy(coding.as_bytes());
            return Err(ApiError::UnsupportedMediaType(coding.into_owned()));
        }
        // Django under ASGI joins two headers with a comma; that is no known type.
        let values = headers.get_all(CONTENT_TYPE);
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let header = values.collect::<Vec<_>>().join(",");
        let unsupported = || ApiError::UnsupportedMediaType(header.clone());
        if header.len() > 256 {
            return Err(unsupported());
        }
        let (essence, parameters) = header.split_once(';').unwrap_or((&header, ""));
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => {
                let charset = parameter(parameters, "charset");
                Charset::named(charset.as_deref()).map(Self::Json)
            }
            "application/x-www-form-urlencoded" => Ok(Self::Form),
            "multipart/form-data" => Ok(Self::Multipart(parameter(parameters, "boundary"))),
            _ => Err(unsupported()),
        }
    }
}

fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

impl Charset {
    /// The charsets that DRF's clients use. Unknown names are UTF-8, as in DRF;
    /// Python's byte codecs, which could unpack a bomb, are refused.
    fn named(name: Option<&str>) -> Result<Self, ApiError> {
        let name = name.unwrap_or_default();
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8-sig" => Ok(Self::Utf8Sig),
            "latin-1" | "latin1" | "iso-8859-1" | "l1" => Ok(Self::Latin1),
            "utf-16" | "utf16" => Ok(Self::Utf16),
            "bz2" | "bz2-codec" | "zlib" | "zlib-codec" | "zip" | "hex" | "hex-codec"
            | "base64" | "base64-codec" | "quopri" | "quopri-codec" | "uu" | "uu-codec"
            | "rot13" | "rot-13" => Err(ApiError::Parse(format!(
                "Unsupported charset \"{}\" in request Content-Type header.",
                name
            ))),
            _ => Ok(Self::Utf8),
        }
    }

    fn decode(self, bytes: &[u8]) -> Result<String, String> {
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string());
        match self {
            Self::Utf8 => utf8(bytes),
            Self::Utf8Sig => utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
            Self::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Utf16 => {
                let (bytes, big) = match bytes {
                    [0xfe, 0xff, rest @ ..] => (rest, true),
                    [0xff, 0xfe, rest @ ..] => (rest, false),
                    _ => (bytes, false),
                };
                let units = bytes.chunks(2).map(|pair| {
                    let pair = [*pair.first().unwrap_or(&0), *pair.get(1).unwrap_or(&0)];
                    match big {
                        true => u16::from_be_bytes(pair),
                        false => u16::from_le_bytes(pair),
                    }
                });
                let text: Result<_, _> = char::decode_utf16(units).collect();
                text.map_err(|error| error.to_string())
            }
        }
    }
}

async fn parse(kind: Kind, bytes: Bytes) -> Result<Body, ApiError> {
    match kind {
        Kind::Empty => Ok(Body::Form(Map::new())),
        // A chunked body may be empty.
        _ if bytes.is_empty() => Ok(Body::Form(Map::new())),
        Kind::Json(charset) => parse_json(charset, &bytes).map(Body::Json),
        Kind::Form => parse_urlencoded(&bytes).map(Body::Form),
        Kind::Multipart(None) => Err(ApiError::Parse(
            "Multipart form parse error - Invalid boundary in multipart: None".to_owned(),
        )),
        Kind::Multipart(Some(boundary)) => parse_multipart(boundary, bytes).await.map(Body::Form),
    }
}

fn parse_json(charset: Charset, bytes: &[u8]) -> Result<Value, ApiError> {
    let error = |reason: String| ApiError::Parse(format!("JSON parse error - {reason}"));
    let text = charset.decode(bytes).map_err(error)?;
    serde_json::from_str(&text).map_err(|reason| error(reason.to_string()))
}

fn parse_urlencoded(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    for (count, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
        if count >= MAX_FIELDS {
            return Err(too_many_fields());
        }
        fields.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(fields)
}

/// Files are left out, where Django would take a file's name for its value. A body that
/// ends early, or has another boundary, gives what it has.
async fn parse_multipart(boundary: String, bytes: Bytes) -> Result<Map<String, Value>, ApiError> {
    let body = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
    let mut parts = multer::Multipart::new(body, boundary);
    let mut fields = Map::new();
    let mut count = 0;
    while let Ok(Some(part)) = parts.next_field().await {
        count += 1;
        if count > MAX_FIELDS {
            return Err(too_many_fields());
        }
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        if part.file_name().is_some() {
            fields.remove(&name);
            continue;
        }
        let Ok(value) = part.bytes().await else {
            break;
        };
        let value = String::from_utf8_lossy(&value).into_owned();
        fields.insert(name, Value::String(value));
    }
    Ok(fields)
}

fn too_many_fields() -> ApiError {
    ApiError::Parse(format!("The form has more than {MAX_FIELDS} fields."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &[u8]) -> Result<Value, ApiError> {
        parse_json(Charset::Utf8, text)
    }

    #[test]
    fn hostile_json_is_an_error_and_no_more() {
        let deep = vec![b'['; 100_000];
        for text in [
            &deep[..],
            b"{\"a\":\"\\ud800\"}",
            b"\xff",
            b"{",
            b"NaN",
            b"",
        ] {
            assert!(json(text).is_err());
        }
    }

    #[test]
    fn the_last_of_two_names_counts() {
        assert_eq!(json(b"{\"a\":1,\"a\":\"x\"}").unwrap()["a"], "x");
        assert_eq!(parse_urlencoded(b"a=1&a=%C3%A9").unwrap()["a"], "é");
        assert!(parse_urlencoded("a=1&".repeat(1001).as_bytes()).is_err());
    }

    #[test]
    fn charsets_that_clients_use() {
        let utf16: Vec<u8> = "\u{feff}é"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(Charset::Utf16.decode(&utf16).unwrap(), "é");
        assert_eq!(Charset::Latin1.decode(b"\xe9").unwrap(), "é");
        assert!(Charset::named(Some("bz2_codec")).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes: Vec<u8>, boundary in "[ -~]{0,70}") {
            let _ = json(&bytes);
            let _ = parse_urlencoded(&bytes);
            for charset in [Charset::Utf8Sig, Charset::Latin1, Charset::Utf16] {
                let _ = parse_json(charset, &bytes);
            }
            let parsing = parse_multipart(boundary, bytes.into());
            let _ = futures_util::FutureExt::now_or_never(parsing);
        }
    }
}
