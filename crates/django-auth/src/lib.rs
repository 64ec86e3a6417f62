#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// Not in Cargo.toml, where they would hold for the tests as well.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod csrf;
pub mod json;
pub mod password;
pub mod random;
pub mod secret_key;
pub mod session_data;
pub mod session_entries;
pub mod session_hash;
pub mod signing;
#[cfg(test)]
mod vectors;

pub use secret_key::{SecretKey, SecretKeys};
pub use session_data::{DecodeError, SessionCodec};
pub use session_entries::SessionData;
pub use session_hash::{HashMatch, SessionAuthHash};
