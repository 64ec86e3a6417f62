//! Refuses requests for hosts that are not ours.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HOST;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use crate::settings::AllowedHosts;

/// Django's own page for it, to the byte.
const PAGE: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Bad Request (400)</title>\n</head>\n<body>\n  <h1>Bad Request (400)</h1><p></p>\n</body>\n</html>\n";

/// The middleware: one `Host` header, well-formed and allowed, or 400.
pub async fn check(
    hosts: web::Data<AllowedHosts>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let headers: Vec<_> = request.headers().get_all(HOST).collect();
    let is_ours = match headers.as_slice() {
        [host] => host.to_str().is_ok_and(|host| hosts.allows(host)),
        _ => false,
    };
    if is_ours {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    Ok(request.into_response(bad_request()))
}

fn bad_request() -> HttpResponse {
    HttpResponse::BadRequest()
        .content_type("text/html; charset=utf-8")
        .body(PAGE)
}
