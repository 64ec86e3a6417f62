//! A page's own rules: who is asking, no forms of other sites (403), the method (405),
//! and who may see it. All errors, also of handlers and extractors, become pages.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};

use super::authentication::authenticate;
use crate::http::csrf::{self, StaleForm};
use crate::http::endpoint::{Page, Permission, allows};
use crate::http::request::body::Body;
use crate::http::response::error::ApiError;
use crate::http::response::pages::{answer, see_other};

/// The middleware of one page.
pub async fn serve(
    page: &'static Page,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Err(error) = decide(page, &mut request).await {
        return Ok(request.into_response(refuse(page, &error)));
    }
    let response = next.call(request).await?;
    let error = response.response().error();
    match error.and_then(|error| error.as_error()).map(answer) {
        Some(page) => Ok(response.into_response(page)),
        None => Ok(response),
    }
}

async fn decide(page: &Page, request: &mut ServiceRequest) -> Result<(), ApiError> {
    let user = authenticate(request).await?;
    let is_post = request.method() == Method::POST;
    if is_post && !(user.is_none() && csrf::is_program(request)?) {
        check_form(page, request).await?;
    }
    if !allows(page.allow, request.method()) {
        return Err(ApiError::MethodNotAllowed(request.method().clone()));
    }
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    } else if page.permission == Permission::LoggedIn {
        if is_post {
            // A form that cannot be read is the first thing to say.
            request.extract::<Body>().await?;
        }
        return Err(ApiError::NotAuthenticated);
    }
    Ok(())
}

/// Django's check. A form that is only too old goes to the page's own answer to that, if
/// it has one, and to no other handler.
async fn check_form(page: &Page, request: &mut ServiceRequest) -> Result<(), ApiError> {
    let Err(refusal) = csrf::check(request).await else {
        return Ok(());
    };
    if page.stale_form.is_none() || !csrf::is_stale_form(request, &refusal)? {
        return Err(refusal);
    }
    request.extensions_mut().insert(StaleForm);
    Ok(())
}

fn refuse(page: &Page, error: &ApiError) -> HttpResponse {
    match error {
        ApiError::NotAuthenticated => see_other(&format!("/login/?next={}", page.path)),
        ApiError::MethodNotAllowed(_) => {
            let mut response = answer(error);
            let allow = HeaderValue::from_static(page.allow);
            response.headers_mut().insert(ALLOW, allow);
            response
        }
        _ => answer(error),
    }
}
