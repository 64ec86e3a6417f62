//! The browser's session: Django's cookie and rows under actix-session.

pub mod browser_session;
pub mod cookie;
pub mod device_cookie;
pub mod store;
