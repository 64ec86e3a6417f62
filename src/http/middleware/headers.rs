//! Headers that every answer has: Django's security headers, and more.

use std::sync::LazyLock;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_OPENER_POLICY,
    CROSS_ORIGIN_RESOURCE_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::server_state::ServerState;

const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                   base-uri 'none'; frame-ancestors 'none'";

/// Django's four, then ours; checked once, not with each answer.
static ALWAYS: LazyLock<[(HeaderName, HeaderValue); 6]> = LazyLock::new(|| {
    [
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (CONTENT_SECURITY_POLICY, CSP),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
});

/// What an answer may depend on; in all of them, so that no cache mixes two.
const VARY_ON: &str = "Accept, Authorization, Cookie";

/// The middleware.
pub async fn add(
    server: web::Data<ServerState>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    if server.is_stopping() {
        // The client opens its next connection elsewhere.
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    for (name, value) in &*ALWAYS {
        headers.insert(name.clone(), value.clone());
    }
    if server.is_https {
        let year = "max-age=31536000";
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(year));
    }
    // Static files have their own.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static(VARY_ON));
    }
    Ok(response)
}
