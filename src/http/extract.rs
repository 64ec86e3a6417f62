//! What a handler may ask for in its signature.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::error::ApiError;
use crate::models::user::User;

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// By the API token.
    Token,
    /// By the session cookie; writes then need a CSRF token.
    Session,
}

/// The active user who is asking. A handler that takes it answers nobody else;
/// one that takes an `Option` of it answers everybody.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// The user.
    pub user: User,
    /// The proof.
    pub authentication: Authentication,
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Put there by the view, which has authenticated the request.
        let user = request.extensions_mut().remove::<Self>();
        ready(user.ok_or(ApiError::NotAuthenticated))
    }
}
