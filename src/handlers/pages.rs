//! For people at a browser.

pub mod account;
pub mod login;
pub mod logout;
