//! Portcullis: a login service that gives a cookie session and an API token in one step,
//! on Django's own tables. Calls go one way, and a test fails otherwise:
//!
//! ```text
//! main -> cli -> app -> routes -> handlers -> http -> auth -> models -> db
//!                                                       \
//!           settings, telemetry: beside cli and app      crates/django-auth
//! ```
//!
//! docs/ARCHITECTURE.md says what each layer holds, and what it may not do.

// Not in Cargo.toml, where they would hold for the tests as well.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod app;
pub mod auth;
pub mod cli;
pub mod db;
pub mod handlers;
pub mod http;
pub mod models;
pub mod routes;
#[rustfmt::skip] // As `diesel print-schema` writes it.
#[allow(missing_docs, reason = "generated: the columns are described in models")]
pub mod schema;
pub mod settings;
pub mod telemetry;

pub use routes::configure;
