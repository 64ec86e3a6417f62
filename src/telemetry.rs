//! Logs: one line per event, on standard error, and a span per request.
//!
//! Never log passwords, tokens, session keys, CSRF secrets or cookies, nor headers and
//! query strings, which may hold one of them.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::settings::{LogFormat, LogSettings};

/// Anyone can send malformed HTTP or unknown session keys, as often as they like.
/// actix-http and actix-session log each; only a filter that names them shows it.
const QUIET: &str = "actix_http=off,actix_session=warn";

/// Sends the log lines of this process to standard error.
pub fn init(log: &LogSettings) {
    let filter = EnvFilter::new(format!("{QUIET},{}", log.filter));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written would be reported with `eprintln!`, which
        // panics for the same reason, during a request.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // Tests call this twice in a process; the second call changes nothing.
    let _ = match log.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

/// The span of a request: its id, method, path and status. A client can hide no secret
/// in these, and no line break.
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
