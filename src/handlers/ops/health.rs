//! Is the service up, and can it work?

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, HttpResponseBuilder, web};

use crate::auth::Auth;
use crate::http::middleware::server_state::ServerState;

/// `GET /healthz`: the process is up.
pub async fn healthz() -> HttpResponse {
    plain(HttpResponse::Ok(), "ok\n")
}

/// `GET /readyz`: the database answers, and the server goes on; else 503.
pub async fn readyz(auth: web::Data<Auth>, server: web::Data<ServerState>) -> HttpResponse {
    if server.is_stopping() {
        return not_ready("stopping\n");
    }
    match auth.ping().await {
        Ok(()) => plain(HttpResponse::Ok(), "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            not_ready("the database does not answer\n")
        }
    }
}

fn not_ready(reason: &'static str) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((RETRY_AFTER, "1"));
    plain(response, reason)
}

fn plain(mut response: HttpResponseBuilder, text: &'static str) -> HttpResponse {
    response
        .content_type("text/plain; charset=utf-8")
        .body(text)
}
