//! For those who run the service, and the files that pages need.

pub mod health;
pub mod static_files;
