//! HTTP as Django and DRF speak it; no SQL. Calls go one way, and no two files
//! call each other: `middleware -> session -> csrf -> request -> response`.

pub mod csrf;
pub mod endpoint;
pub mod middleware;
pub mod request;
pub mod response;
pub mod session;
