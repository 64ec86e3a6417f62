//! A DRF view's own rules, in DRF's order: negotiation (404, 406), who is asking
//! (401, 403), whether they may (401), the method (405). Then the handler reads
//! the body.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use serde_json::json;

use super::authentication::authenticate;
use crate::http::csrf;
use crate::http::endpoint::{Permission, View, allows};
use crate::http::request::current_user::{Authentication, CurrentUser};
use crate::http::request::negotiate::{Format, Renderers, negotiate};
use crate::http::response::error::ApiError;
use crate::http::response::json;

enum Decision {
    Handle(Option<CurrentUser>),
    Describe,
}

/// The middleware of one view.
pub async fn serve(
    view: &'static View,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let decision = match negotiate(request.head(), view.renderers) {
        Ok(format) => decide(view, &mut request).await.map(|done| (format, done)),
        Err(error) => Err(error),
    };
    let mut response = match decision {
        Err(error) => request.into_response(error.error_response()),
        Ok((_, Decision::Describe)) => request.into_response(describe(view)),
        Ok((format, Decision::Handle(user))) => {
            if let Some(user) = user {
                request.extensions_mut().insert(user);
            }
            render(next.call(request).await?, format)
        }
    };
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(view.allow));
    Ok(response)
}

async fn decide(view: &View, request: &mut ServiceRequest) -> Result<Decision, ApiError> {
    let user = authenticate(request).await?;
    let writes = !request.method().is_safe();
    let by_session = user
        .as_ref()
        .is_some_and(|user| user.authentication == Authentication::Session);
    match view.permission {
        Permission::LoggedIn if writes && by_session => csrf::check(request).await?,
        Permission::LoggedIn if user.is_none() => return Err(ApiError::NotAuthenticated),
        Permission::Anyone if writes => csrf::forbid_other_sites(request)?,
        _ => {}
    }
    match request.method() {
        method if !allows(view.allow, method) => Err(ApiError::MethodNotAllowed(method.clone())),
        &Method::OPTIONS => Ok(Decision::Describe),
        _ => Ok(Decision::Handle(user)),
    }
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
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if !is_json {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => match json::indent(&bytes, spaces) {
            Some(pretty) => BoxBody::new(pretty),
            None => BoxBody::new(bytes),
        },
        Err(body) => body,
    })
}
