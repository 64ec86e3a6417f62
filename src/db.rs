//! SQLite and PostgreSQL, by [`Database::read`] and [`Database::write`].
//!
//! SQLite is read inline, on a `query_only` connection of the calling thread (a hop to
//! a blocking pool costs more than the look-up), and written by one thread that commits
//! many jobs at once. PostgreSQL has an r2d2 pool, on blocking threads. The only SQL
//! here sets connections up, and asks about the database itself ([`inspect`]).

mod cached;
pub(crate) mod connection;
mod database;
mod error;
pub mod inspect;
mod look;
mod look_ups;
mod migrations;
mod postgres;
mod readable;
mod sqlite;
mod url;

pub use self::cached::cached;
pub use self::connection::Connection;
pub(crate) use self::connection::on;
pub use self::database::Database;
pub use self::error::{DatabaseError, OpenError};
pub use self::look::look;
pub use self::look_ups::LookUps;
pub use self::migrations::MigrateError;
pub use self::readable::readable;
pub use self::url::DatabaseUrl;
