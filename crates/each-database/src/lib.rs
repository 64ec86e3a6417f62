//! `#[each_database]` makes tests of an async function that takes a `Backend`:
//!
//! ```text
//! #[each_database]
//! async fn a_good_login_gives_a_token(backend: Backend) { … }
//! ```
//!
//! gives `a_good_login_gives_a_token::sqlite` and, if `TEST_POSTGRES_URL` is set when
//! they are built, `a_good_login_gives_a_token::postgres`. Without it there are no
//! PostgreSQL tests, so none is skipped in silence. `#[each_database(sqlite)]` and
//! `#[each_database(postgres)]` are for one kind. The tests' crate has the runner,
//! `crate::run(backend, test)`.
//!
//! `#[each_django]` is the same beside each Django, for a function that also takes a
//! `case::Reference`.

use proc_macro::{TokenStream, TokenTree};

/// Cargo builds the tests again when it changes, which it would not with `std::env`.
const HAS_POSTGRES: bool = option_env!("TEST_POSTGRES_URL").is_some();

/// Keeps the function, and puts its tests into a module of the same name.
#[proc_macro_attribute]
pub fn each_database(only: TokenStream, function: TokenStream) -> TokenStream {
    let only = only.to_string();
    if !["", "sqlite", "postgres"].contains(&only.as_str()) {
        return error("`sqlite`, `postgres` or nothing");
    }
    with_tests(function, |name| tests(&only, &format!("super::{name}")))
}

/// Keeps the function, and puts its tests into a module of the same name, with a module
/// for each Django.
#[proc_macro_attribute]
pub fn each_django(nothing: TokenStream, function: TokenStream) -> TokenStream {
    if !nothing.is_empty() {
        return error("this attribute takes nothing");
    }
    with_tests(function, |name| {
        let beside = |(module, version): (&str, &str)| {
            let version = format!("crate::case::Reference::{version}");
            let test = format!("|backend| super::super::{name}(backend, {version})");
            format!("mod {module} {{ {} }}", tests("", &test))
        };
        [("django_5_2", "Django52"), ("django_6_1", "Django61")]
            .map(beside)
            .concat()
    })
}

/// The function, and what is made of its name in a module of that name.
fn with_tests(function: TokenStream, tests: impl FnOnce(&str) -> String) -> TokenStream {
    let mut tokens = function.clone().into_iter();
    let is_fn = |token: &TokenTree| token.to_string() == "fn";
    let (Some(_), Some(name)) = (tokens.find(is_fn), tokens.next()) else {
        return error("this attribute is for functions");
    };
    let name = name.to_string();
    let module = format!("mod {name} {{ {} }}", tests(&name));
    let module: TokenStream = module.parse().expect("a module");
    [function, module].into_iter().collect()
}

/// A test for each kind of database, or for only one.
fn tests(only: &str, test: &str) -> String {
    let of = |kind: &str, backend: &str, is_built: bool| {
        if !only.is_empty() && only != kind {
            return String::new();
        }
        // A function that is no test still uses what it calls.
        let attribute = if is_built { "test" } else { "allow(dead_code)" };
        format!(
            "#[{attribute}] fn {kind}() {{
                crate::run(crate::support::database::Backend::{backend}, {test})
            }}"
        )
    };
    of("sqlite", "Sqlite", true) + &of("postgres", "postgres()", HAS_POSTGRES)
}

fn error(message: &str) -> TokenStream {
    let error = format!("compile_error!({message:?});");
    error.parse().expect("an error")
}
