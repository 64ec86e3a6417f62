//! What the tests share.

pub mod app;
pub mod database;
pub mod program;
pub mod registry;
pub mod secrets;
