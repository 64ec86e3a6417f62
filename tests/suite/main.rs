//! Black-box tests: a real server on a port of its own, over real HTTP, with a
//! database of its own.
//!
//! Each test of `#[each_database]` runs on SQLite and, if `TEST_POSTGRES_URL` is
//! set, on PostgreSQL too: without the variable there are no PostgreSQL tests.

mod support;

mod access;
mod audit;
mod bodies;
mod check;
mod cli;
mod django;
mod django_sessions;
mod enumeration;
mod faults;
mod freshness;
#[cfg(target_os = "linux")]
mod hash_work;
mod hosts;
mod isolation;
mod login;
mod login_with;
mod logout;
mod markup;
mod overload;
mod pages;
mod passwords;
mod repo;
mod second_tab;
mod secrets;
mod security;
mod sessions;
mod stop;
mod takeover;
mod throttle;
mod time_zone;
mod upkeep;
mod user;
mod user_models;
mod wire;

use support::database::Backend;

/// What `#[each_database]` runs its tests with.
fn run(backend: Backend, test: impl AsyncFnOnce(Backend)) {
    support::secrets::watch(|| support::run(backend, test));
}
