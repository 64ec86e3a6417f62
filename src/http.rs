//! What handlers need to speak HTTP as Django and DRF speak it. No SQL.

pub mod authentication;
pub mod body;
pub mod client_ip;
pub mod cookies;
pub mod csrf;
pub mod device_cookie;
pub mod error;
pub mod extract;
pub mod headers;
pub mod host;
pub mod json;
pub mod limits;
pub mod negotiate;
pub mod next_path;
pub mod page;
pub mod pages;
pub mod server_state;
pub mod session_cookie;
pub mod session_store;
pub mod view;
