//! A DRF view's own rules, in DRF's order: negotiation (404, 406), who asks (401, 503),
//! permission and CSRF (401, 403), the method (405). Then the handler reads the body.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use serde_json::json;

use super::authentication::authenticate;
use crate::http::csrf;
use crate::http::endpoint::{Permission, View, allows};
use crate::http::request::negotiate::{Format, Renderers, negotiate};
use crate::http::response::error::ApiError;
use crate::http::response::json;

/// The middleware of one view.
pub async fn serve(
    view: &'static View,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = match decide(view, &mut request).await {
        Err(error) => request.into_response(error.error_response()),
        Ok(_) if request.method() == Method::OPTIONS => request.into_response(describe(view)),
        Ok(format) => render(next.call(request).await?, format),
    };
    let allow = HeaderValue::from_static(view.allow);
    response.headers_mut().insert(ALLOW, allow);
    Ok(response)
}

async fn decide(view: &View, request: &mut ServiceRequest) -> Result<Format, ApiError> {
    let format = negotiate(request.head(), view.renderers)?;
    let user = authenticate(request).await?;
    let writes = !request.method().is_safe();
    let has_session = user.as_ref().is_some_and(|user| user.token().is_none());
    match view.permission {
        Permission::LoggedIn if writes && has_session => {
            csrf::check(request).await?;
        }
        Permission::LoggedIn if user.is_none() => return Err(ApiError::NotAuthenticated),
        Permission::Anyone if writes => csrf::forbid_other_sites(request)?,
        _ => {}
    }
    if !allows(view.allow, request.method()) {
        return Err(ApiError::MethodNotAllowed(request.method().clone()));
    }
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    Ok(format)
}

fn describe(view: &View) -> HttpResponse {
    let renders: &[&str] = match view.renderers {
        Renderers::JsonAndHtml => &["application/json", "text/html"],
        Renderers::Json => &["application/json"],
    };
    let description = json!({
        "name": view.name,
        "description": "",
        "renders": renders,
        "parses": view.parsers,
    });
    json::response(StatusCode::OK, &description)
}

/// Indents JSON for a client that asked for it.
fn render(response: ServiceResponse<BoxBody>, format: Format) -> ServiceResponse<BoxBody> {
    let Format::Json {
        indent: Some(spaces),
    } = format
    else {
        return response;
    };
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/json") {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => BoxBody::new(json::indent(&bytes, spaces).map_or(bytes, Bytes::from)),
        Err(body) => body,
    })
}
