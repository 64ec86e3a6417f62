//! What a handler may ask for in its signature.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use tracing_actix_web::RequestId;

use super::client_ip::TrustedProxies;
use super::cookies::RequestCookies;
use super::device_cookie;
use super::error::ApiError;
use crate::auth::{Client, Device};
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
    pub user: Arc<User>,
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

impl FromRequest for Client {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proxies = request.app_data::<web::Data<TrustedProxies>>();
        let address = request
            .peer_addr()
            .zip(proxies)
            .map(|(peer, proxies)| proxies.client_ip(peer.ip(), request.headers()));
        // A browser that is new here gets a name now, and keeps it if it logs in.
        let device = RequestCookies::from_extensions(request).device.or_else(|| {
            device_cookie::is_browser(request.headers()).then(|| Device::random(&mut rand::rng()))
        });
        let request_id = request.extensions().get::<RequestId>().copied();
        ready(Ok(Self {
            address,
            device,
            entry_point: request.path().trim_end_matches('/').to_owned(),
            request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }
}
