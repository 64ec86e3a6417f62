//! What happens around a handler, from the outside in: headers, host, CORS,
//! limits, cookies and sessions, then a view's or a page's own rules.

pub mod authentication;
pub mod cors;
pub mod csrf_cookie;
pub mod headers;
pub mod host;
pub mod limits;
pub mod page;
pub mod server_state;
pub mod view;
