//! Portcullis: a login service that gives a cookie session and an API token in
//! one step, on Django's own tables.
//!
//! Calls go one way, and a test says so:
//!
//! ```text
//! routes -> handlers -> auth -> models -> db -> crates/django-auth
//!              http
//! ```
//!
//! - [`app`]: the server as a value
//! - [`routes`]: the one route table
//! - [`handlers`]: thin: typed input, one verb of [`auth`], a response
//! - [`http`]: what handlers need to speak HTTP
//! - [`auth`]: the rules
//! - [`models`]: one file a table
//! - [`db`]: connections, transactions, migrations
//! - [`django_auth`], a crate of its own: Django's formats and hashes, as pure functions
//! - [`settings`], [`telemetry`], [`cli`]: around them

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
