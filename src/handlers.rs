//! The endpoints by audience, one file for each thing that a client does. A
//! handler takes typed input, calls one verb of [`crate::auth`], and answers.

pub mod api;
pub mod not_found;
pub mod ops;
pub mod pages;
