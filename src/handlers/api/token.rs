//! DRF's own `obtain_auth_token`, with its own messages.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::auth::{Auth, AuthError, Client, Credentials, LoginWith};
use crate::http::request::body::Body;
use crate::http::response::error::ApiError;
use crate::http::response::json;

const BAD_LOGIN: &str = "Unable to log in with provided credentials.";

/// `POST /api-token-auth/`: the user's token, and no session; or 400 with DRF's field
/// errors, or `non_field_errors` for a refused login.
pub async fn obtain_token(
    auth: web::Data<Auth>,
    client: Client,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let credentials = validate(&body, auth.login_with)?;
    match auth.obtain_token(&credentials, &client).await {
        Ok(token) => Ok(json::ok(&json!({"token": token.expose()}))),
        Err(AuthError::InvalidCredentials) => Err(non_field_error(BAD_LOGIN)),
        Err(error) => Err(error.into()),
    }
}

fn non_field_error(message: &str) -> ApiError {
    ApiError::BadRequest(json!({"non_field_errors": [message]}))
}

fn validate(body: &Body, login_with: LoginWith) -> Result<Credentials, ApiError> {
    let kind = match body {
        Body::Form(_) | Body::Json(Value::Object(_)) => None,
        Body::Json(Value::Null) => return Err(non_field_error("No data provided")),
        Body::Json(Value::Array(_)) => Some("list"),
        Body::Json(Value::String(_)) => Some("str"),
        Body::Json(Value::Bool(_)) => Some("bool"),
        Body::Json(Value::Number(number)) if number.is_f64() => Some("float"),
        Body::Json(Value::Number(_)) => Some("int"),
    };
    if let Some(kind) = kind {
        let reason = format!("Invalid data. Expected a dictionary, but got {kind}.");
        return Err(non_field_error(&reason));
    }
    let username = char_field(body.name(login_with), true);
    let password = char_field(body.get("password"), false);
    match (username, password) {
        (Ok(username), Ok(password)) => Ok(Credentials::new(Some(username), Some(password))),
        (username, password) => {
            let errors = [("username", username.err()), ("password", password.err())];
            let errors = errors.map(|(name, error)| Some((name.to_owned(), json!([error?]))));
            Err(ApiError::BadRequest(errors.into_iter().flatten().collect()))
        }
    }
}

/// DRF's `CharField`, but that a number is no text: see docs/django.md.
fn char_field(value: Option<&Value>, trims: bool) -> Result<String, &'static str> {
    let text = match value {
        None => return Err("This field is required."),
        Some(Value::Null) => return Err("This field may not be null."),
        Some(Value::String(text)) if trims => text.trim(),
        Some(Value::String(text)) => text,
        Some(_) => return Err("Not a valid string."),
    };
    if text.is_empty() {
        Err("This field may not be blank.")
    } else if text.contains('\0') {
        Err("Null characters are not allowed.")
    } else {
        Ok(text.to_owned())
    }
}
