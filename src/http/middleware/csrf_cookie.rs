//! Replaces a CSRF cookie that cannot be a secret, as Django does with every answer: its
//! browser could never write again.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::http::csrf::{self, Csrf};
use crate::http::request::cookies::RequestCookies;
use django_auth::csrf::{COOKIE_NAME, check_format};

/// The middleware, inside of the cookies' one.
pub async fn replace_malformed(
    csrf: web::Data<Csrf>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let cookie = RequestCookies::from_extensions(&request).csrf;
    let is_malformed = cookie.is_some_and(|text| check_format(&text).is_err());
    let mut response = next.call(request).await?;
    if is_malformed && !is_given(response.headers()) {
        csrf::rotate(response.headers_mut(), &csrf);
    }
    Ok(response)
}

fn is_given(headers: &HeaderMap) -> bool {
    headers
        .get_all(SET_COOKIE)
        .filter_map(|value| value.as_bytes().strip_prefix(COOKIE_NAME.as_bytes()))
        .any(|rest| rest.starts_with(b"="))
}
