//! What a request says: typed, and read as Django and DRF read it.

pub mod authorization;
pub mod body;
pub mod client;
pub mod client_ip;
pub mod cookies;
pub mod current_user;
pub mod negotiate;
pub mod next_path;
pub mod payload;
