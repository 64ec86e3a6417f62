//! The machine and the browser that send a request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use tracing_actix_web::RequestId;

use super::client_ip::TrustedProxies;
use super::cookies::RequestCookies;
use crate::auth::{Client, Device};
use crate::http::response::error::ApiError;

impl FromRequest for Client {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proxies = request.app_data::<web::Data<TrustedProxies>>();
        let address = request
            .peer_addr()
            .zip(proxies)
            .map(|(peer, proxies)| proxies.client_ip(peer.ip(), request.headers()));
        // Browsers all say from what kind of site a request comes. A new one gets its
        // name now, and the cookie if it logs in.
        let is_browser = request.headers().contains_key("sec-fetch-site");
        let known = RequestCookies::from_extensions(request).device;
        let device = known.or_else(|| is_browser.then(|| Device::random(&mut rand::rng())));
        let request_id = request.extensions().get::<RequestId>().copied();
        ready(Ok(Self {
            address,
            device,
            entry_point: request.path().trim_end_matches('/').to_owned(),
            request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }
}
