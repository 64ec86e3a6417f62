//! Any path that is not here.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::request::negotiate::wants_page;
use crate::http::response::pages::{django, error_page};

/// 404: our page, or Django's for clients that want no page.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    if wants_page(request.head()) {
        return error_page(StatusCode::NOT_FOUND);
    }
    let reason = "The requested resource was not found on this server.";
    django(StatusCode::NOT_FOUND, "Not Found", reason)
}
