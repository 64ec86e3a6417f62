//! Paths that are not here, and methods that a path does not take.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::negotiate::wants_page;
use crate::http::page::error_page;

/// Django's own page for it, to the byte, for those who did not ask for a page.
const PLAIN: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";

/// Any other path.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    if wants_page(request.head()) {
        return error_page(StatusCode::NOT_FOUND);
    }
    HttpResponse::NotFound()
        .content_type("text/html; charset=utf-8")
        .body(PLAIN)
}

/// A method that a page does not take; it takes those of `allow`.
pub fn page_not_allowed(allow: &'static str) -> HttpResponse {
    let mut response = error_page(StatusCode::METHOD_NOT_ALLOWED);
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// The same for what is no page: no body, as in Django.
pub fn not_allowed(allow: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, HeaderValue::from_static(allow)))
        .finish()
}
