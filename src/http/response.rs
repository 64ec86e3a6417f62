//! What an answer is made of: JSON, pages, errors, cookies.

pub mod error;
pub mod json;
pub mod pages;
pub mod set_cookie;
