//! Any path that is not here.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::request::negotiate::wants_page;
use crate::http::response::pages::error_page;

/// Django's own page for it, to the byte, for clients that want no page of ours.
const PLAIN: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";

/// 404.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    if wants_page(request.head()) {
        return error_page(StatusCode::NOT_FOUND);
    }
    HttpResponse::NotFound()
        .content_type("text/html; charset=utf-8")
        .body(PLAIN)
}
