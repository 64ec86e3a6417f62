//! A DRF view: what is decided, and in which order, before a handler runs.
//!
//! Negotiation (404, 406), then who is asking (401, 403), then whether they
//! may (401), then the method (405), then the body, which is the handler's.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use serde_json::json;

use super::authentication::authenticate;
use super::body;
use super::cookies::RequestCookies;
use super::csrf::{self, Csrf, Site};
use super::error::ApiError;
use super::extract::{Authentication, CurrentUser};
use super::limits;
use super::negotiate::{Format, Renderers, negotiate};

/// Who may call a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Anyone: it is where one says who one is. A browser may not be sent here
    /// by another site; a CSRF token is not asked for.
    Anyone,
    /// Someone who is logged in; a session must bring its CSRF token to write.
    LoggedIn,
}

/// What is fixed about a view.
#[derive(Debug)]
pub struct View {
    /// The name in the answer to OPTIONS.
    pub name: &'static str,
    /// The `Allow` header.
    pub allow: &'static str,
    /// Who may call it.
    pub permission: Permission,
    /// What it can answer in.
    pub renderers: Renderers,
}

impl View {
    fn allows(&self, method: &Method) -> bool {
        self.allow.split(", ").any(|name| name == method.as_str())
    }
}

/// What comes of a request before its handler has seen it.
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
    let format = negotiate(request.head(), view.renderers);
    let decision = match &format {
        Ok(_) => decide(view, &mut request).await,
        Err(_) => Err(ApiError::NotAcceptable),
    };
    let mut response = match (format, decision) {
        (Err(error), _) | (_, Err(error)) => request.into_response(error.error_response()),
        (_, Ok(Decision::Describe)) => request.into_response(describe(view)),
        (Ok(format), Ok(Decision::Handle(user))) => {
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
        Permission::LoggedIn if writes && by_session => check_csrf(request).await?,
        Permission::LoggedIn if user.is_none() => return Err(ApiError::NotAuthenticated),
        Permission::Anyone if writes => forbid_foreign(request)?,
        _ => {}
    }
    match request.method() {
        method if !view.allows(method) => Err(ApiError::MethodNotAllowed(method.clone())),
        &Method::OPTIONS => Ok(Decision::Describe),
        _ => Ok(Decision::Handle(user)),
    }
}

fn forbid_foreign(request: &ServiceRequest) -> Result<(), ApiError> {
    let csrf = request.app_data::<web::Data<Csrf>>();
    match csrf.map(|csrf| csrf.site(request.headers())) {
        Some(Site::Ours | Site::Unknown) => Ok(()),
        Some(Site::Foreign) | None => Err(ApiError::Forbidden(
            "CSRF Failed: a page of another site may not log in here.".to_owned(),
        )),
    }
}

/// Django's check of a session's write. The token may be in a form, so the
/// body is read, and put back for the handler.
pub async fn check_csrf(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let mut field = None;
    if request.method() == Method::POST && body::is_form(request.headers()) {
        let payload = request.take_payload();
        let bytes = limits::received(payload).await?;
        let form = body::parse_form(request.headers(), bytes.clone()).await;
        field = form.and_then(|form| form.text(csrf::FIELD).map(str::to_owned));
        request.set_payload(Payload::from(bytes));
    }
    let cookies = RequestCookies::from_extensions(request);
    request
        .app_data::<web::Data<Csrf>>()
        .ok_or(ApiError::Unavailable)?
        .check(request.headers(), cookies.csrf.as_deref(), field.as_deref())
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
        "parses": [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ],
    });
    super::json::response(actix_web::http::StatusCode::OK, &description)
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
        Ok(bytes) => match super::json::indent(&bytes, spaces) {
            Some(pretty) => BoxBody::new(pretty),
            None => BoxBody::new(bytes),
        },
        Err(body) => body,
    })
}
