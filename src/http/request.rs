//! What a request says: typed, and read as Django and DRF read it.

pub mod authorization;
pub mod body;
pub mod client;
pub mod client_ip;
pub mod cookies;
pub mod current_user;
pub mod negotiate;
pub mod next_path;
pub mod payload;

use actix_web::{HttpRequest, web};

use super::response::error::ApiError;

/// What the workers share of this type, for code that is no handler; it is always there.
pub fn shared<T: 'static>(request: &HttpRequest) -> Result<&web::Data<T>, ApiError> {
    request.app_data().ok_or(ApiError::Unavailable)
}

/// Whether a host is this domain or under it.
pub fn is_within(host: &str, domain: &str) -> bool {
    let rest = host.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
