//! For programs: JSON, as Django and DRF answer.

pub mod login;
pub mod logout;
pub mod token;
pub mod user;
