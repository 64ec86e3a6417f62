//! Lists of tests, so that one function runs on every database.

use std::future::Future;
use std::pin::Pin;

use super::database::Backend;

/// A test that is given a kind of database.
pub struct DatabaseTest {
    pub module: &'static str,
    pub function: &'static str,
    pub run: fn(Backend) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// A test that is given nothing.
pub struct PlainTest {
    pub module: &'static str,
    pub function: &'static str,
    pub run: fn(),
}

impl DatabaseTest {
    pub fn name(&self) -> String {
        name(self.module, self.function)
    }
}

impl PlainTest {
    pub fn name(&self) -> String {
        name(self.module, self.function)
    }
}

/// `suite::login`, `a_test` is `login::a_test`.
fn name(module: &str, function: &str) -> String {
    let module = module.split_once("::").map_or(module, |(_, rest)| rest);
    format!("{module}::{function}")
}

/// `on_each_database![a, b]`: async functions of a [`Backend`]. A function that
/// is written and not listed is dead code, which the lints refuse.
macro_rules! on_each_database {
    ($($function:ident),+ $(,)?) => {
        &[$($crate::support::registry::DatabaseTest {
            module: module_path!(),
            function: stringify!($function),
            run: |backend| Box::pin($function(backend)),
        }),+]
    };
}
pub(crate) use on_each_database;

/// `once![a, b]`: plain functions.
macro_rules! once {
    ($($function:ident),+ $(,)?) => {
        &[$($crate::support::registry::PlainTest {
            module: module_path!(),
            function: stringify!($function),
            run: $function,
        }),+]
    };
}
#[allow(
    unused_imports,
    reason = "for the files of tests that need no database"
)]
pub(crate) use once;
