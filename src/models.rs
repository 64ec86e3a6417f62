//! One file a table: its row, what may be inserted, and its queries.
//!
//! Queries take the connection first and return Diesel's `QueryResult`; what
//! they mean is decided in [`crate::auth`].

pub mod columns;
pub mod session;
pub mod token;
pub mod user;

pub use self::columns::{Timestamp, UserId};
