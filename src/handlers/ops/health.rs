//! Is the service up, and can it work?

use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, web};

use crate::auth::Auth;
use crate::http::middleware::server_state::ServerState;

/// `GET /healthz`: the process is up.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

/// `GET /readyz`: the database answers, and the server goes on; else 503.
pub async fn readyz(auth: web::Data<Auth>, server: web::Data<ServerState>) -> HttpResponse {
    if server.is_stopping() {
        return not_ready("stopping\n");
    }
    match auth.ping().await {
        Ok(()) => HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body("ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            not_ready("the database does not answer\n")
        }
    }
}

fn not_ready(reason: &'static str) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .content_type("text/plain; charset=utf-8")
        .insert_header((RETRY_AFTER, HeaderValue::from_static("1")))
        .body(reason)
}
