//! Errors on the wire. [`ApiError`] is DRF's exception: a status and a body that tell a
//! client what to do, and nothing of what happened inside. An [`AuthError`] becomes one
//! here, and the cause of a 503 is logged here, once.

use actix_web::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use super::json;
use crate::auth::AuthError;

/// Seconds after which a client may try again after a 503.
const RETRY_SECONDS: &str = "1";

/// Any answer but the one that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.status())]
pub enum ApiError {
    /// 400 with a body of the view's own.
    BadRequest(Value),
    /// 400, DRF's `ParseError`.
    Parse(String),
    /// 401, DRF's `NotAuthenticated`.
    NotAuthenticated,
    /// 401, DRF's `AuthenticationFailed`.
    AuthenticationFailed(&'static str),
    /// 403, DRF's `PermissionDenied`.
    Forbidden(String),
    /// 404 for an unknown `?format=`.
    NotFound,
    /// 405.
    MethodNotAllowed(Method),
    /// 406.
    NotAcceptable,
    /// 408: the body did not come in time.
    TooSlow,
    /// 413: the body is over the cap.
    TooLarge,
    /// 415, with the media type.
    UnsupportedMediaType(String),
    /// 429, DRF's `Throttled`, with the seconds to wait.
    Throttled(u64),
    /// 431: the target and the headers are over the cap.
    HeadersTooLarge,
    /// 503: the database does not answer, or the hashing queue is full.
    Unavailable,
}

impl ApiError {
    /// `{"error":"Invalid credentials"}`, the reference app's answer to a bad login.
    pub fn invalid_credentials() -> Self {
        Self::BadRequest(json!({"error": "Invalid credentials"}))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Parse(_) => StatusCode::BAD_REQUEST,
            Self::NotAuthenticated | Self::AuthenticationFailed(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One sentence that says why.
    pub fn detail(&self) -> String {
        match self {
            Self::BadRequest(body) => {
                let error = body.get("error").and_then(Value::as_str);
                error.unwrap_or("Bad request.").to_owned()
            }
            Self::Parse(detail) | Self::Forbidden(detail) => detail.clone(),
            Self::NotAuthenticated => "Authentication credentials were not provided.".to_owned(),
            Self::AuthenticationFailed(detail) => (*detail).to_owned(),
            Self::NotFound => "Not found.".to_owned(),
            Self::MethodNotAllowed(method) => format!("Method \"{method}\" not allowed."),
            Self::NotAcceptable => "Could not satisfy the request Accept header.".to_owned(),
            Self::TooSlow => "Request body did not come in time.".to_owned(),
            Self::TooLarge => "Request body is larger than this endpoint takes.".to_owned(),
            Self::HeadersTooLarge => {
                "Request headers are larger than this server takes.".to_owned()
            }
            Self::UnsupportedMediaType(media_type) => {
                format!("Unsupported media type \"{media_type}\" in request.")
            }
            Self::Throttled(seconds) => {
                let plural = if *seconds == 1 { "" } else { "s" };
                format!("Request was throttled. Expected available in {seconds} second{plural}.")
            }
            Self::Unavailable => "Service temporarily unavailable, try again later.".to_owned(),
        }
    }

    /// Adds the headers that belong to the status.
    pub fn add_headers(&self, response: &mut HttpResponse) {
        let (name, value) = match self {
            Self::NotAuthenticated | Self::AuthenticationFailed(_) => {
                (WWW_AUTHENTICATE, HeaderValue::from_static("Token"))
            }
            Self::Throttled(seconds) => (RETRY_AFTER, HeaderValue::from(*seconds)),
            Self::Unavailable => (RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS)),
            _ => return,
        };
        response.headers_mut().insert(name, value);
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = match self {
            Self::BadRequest(body) => json::response(self.status(), body),
            _ => json::response(self.status(), &json!({"detail": self.detail()})),
        };
        self.add_headers(&mut response);
        response
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::InvalidCredentials => Self::invalid_credentials(),
            AuthError::Throttled { wait } => {
                // Rounded up, as DRF does.
                Self::Throttled(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
            }
            // The pool logs it, but not each time.
            AuthError::Busy(_) => Self::Unavailable,
            AuthError::Database(error) => {
                tracing::error!(%error, "the database did not answer");
                Self::Unavailable
            }
        }
    }
}
