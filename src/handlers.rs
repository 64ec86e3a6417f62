//! The endpoints, one file for each thing that a client does. A handler takes
//! typed input, calls one verb of [`crate::auth`], and shapes the answer.

pub mod account;
pub mod health;
pub mod login;
pub mod logout;
pub mod not_found;
pub mod obtain_token;
pub mod static_files;
pub mod user;
