//! Logs: one line an event, to standard error, and a span for each request.
//!
//! Never logged: passwords, tokens, session keys, CSRF secrets, cookies, and
//! headers or query strings, which may hold one of them.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::settings::{LogFormat, Settings};

/// What is no HTTP is an error to actix-http, and a session key that nobody has is
/// news to actix-session. Anyone can send either, as often as they like: no line,
/// unless the filter asks for that target by name.
const QUIET: &str = "actix_http=off,actix_session=warn";

/// Sends the log lines of this process to standard error.
pub fn init(settings: &Settings) {
    let filter = EnvFilter::new(format!("{QUIET},{}", settings.log));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written would be reported with `eprintln!`,
        // which panics for the same reason, in the middle of a request.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second call, in a process of tests, changes nothing.
    let _ = match settings.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

/// The span of a request: its id, method, path and status, and nothing that a
/// client could hide a secret or a line break in.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request
            .extensions()
            .get::<RequestId>()
            .map_or_else(Uuid::new_v4, |id| **id);
        tracing::info_span!(
            "request",
            %id,
            method = %request.method(),
            path = ?request.path(),
            status = tracing::field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        if let Ok(response) = outcome {
            span.record("status", response.status().as_u16());
            span.in_scope(|| tracing::debug!("answered"));
        }
    }
}
