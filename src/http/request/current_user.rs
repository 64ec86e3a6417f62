//! The user who sends a request.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::auth::Token;
use crate::http::response::error::ApiError;
use crate::models::user::User;

/// How the caller proved who they are.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// By the API token.
    Token(Token),
    /// By the session cookie; writes then need a CSRF token.
    Session,
}

/// The active user who sends the request, as the middleware found out. As a handler's
/// parameter it answers 401 to all others; an `Option` of it does not.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// The user.
    pub user: Arc<User>,
    /// The proof.
    pub authentication: Authentication,
}

impl CurrentUser {
    /// The token that came with the request, if it is what counted.
    pub fn token(&self) -> Option<&Token> {
        match &self.authentication {
            Authentication::Token(token) => Some(token),
            Authentication::Session => None,
        }
    }
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.extensions_mut().remove::<Self>();
        ready(user.ok_or(ApiError::NotAuthenticated))
    }
}
