//! The machine and the browser that send a request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use tracing_actix_web::RequestId;

use super::client_ip::TrustedProxies;
use super::cookies::RequestCookies;
use crate::auth::{Client, Device};
use crate::http::response::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl FromRequest for Client {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proxies = request.app_data::<web::Data<TrustedProxies>>();
        let address = request
            .peer_addr()
            .zip(proxies)
            .map(|(peer, proxies)| proxies.client_ip(peer.ip(), request.headers()));
        // A new browser gets its name now, and the cookie if it logs in.
        let device = RequestCookies::from_extensions(request)
            .device
            .or_else(|| is_browser(request.headers()).then(|| Device::random(&mut rand::rng())));
        let request_id = request.extensions().get::<RequestId>().copied();
        ready(Ok(Self {
            address,
            device,
            entry_point: request.path().trim_end_matches('/').to_owned(),
            request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }
}

/// Browsers all say from what kind of site a request comes.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE)
}
