//! What can go wrong with the database.

use std::sync::Arc;

/// The database did not answer, not in time, or with a refusal: clients get the same
/// answer, as they can do nothing about any of these, and none may let a request pass.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// More writes are waiting than the queue holds.
    #[error("too many writes are waiting for the database")]
    Overloaded,
    /// The job waited longer than a client would.
    #[error("the database took too long")]
    TimedOut,
    /// The thread that did the work is gone, or the work panicked.
    #[error("the database thread gave no answer")]
    NoAnswer,
    /// No connection of the pool became free.
    #[error("no database connection: {0}")]
    Pool(#[from] r2d2::Error),
    /// A connection could not be opened.
    #[error("{0}")]
    Connect(#[from] diesel::ConnectionError),
    /// There is no connection, and the last try to make one failed.
    #[error("no database connection: {0}")]
    Down(String),
    /// The failure of a query that several look-ups shared.
    #[error(transparent)]
    Shared(Arc<DatabaseError>),
    /// The database refused a statement.
    #[error("{0}")]
    Query(#[from] diesel::result::Error),
}

/// Why a database could not be opened at start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or server could not be reached.
    #[error("{url}: cannot open the database: {reason}")]
    Connect {
        /// The address, without a password.
        url: String,
        /// What the driver said.
        reason: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread for the database: {0}")]
    Thread(#[from] std::io::Error),
}
