//! Passwords at work: the threads that hash them.

mod places;
pub mod pool;
mod queue;
