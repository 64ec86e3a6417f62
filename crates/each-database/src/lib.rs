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
    let mut tokens = function.clone().into_iter();
    let is_fn = |token: &TokenTree| token.to_string() == "fn";
    let (Some(_), Some(name)) = (tokens.find(is_fn), tokens.next()) else {
        return error("this attribute is for functions");
    };
    let test = |kind: &str, backend: &str, is_built: bool| {
        if !only.is_empty() && only != kind {
            return String::new();
        }
        // A function that is no test still uses what it calls.
        let attribute = if is_built { "test" } else { "allow(dead_code)" };
        format!(
            "#[{attribute}] fn {kind}() {{
                crate::run(crate::support::database::Backend::{backend}, super::{name})
            }}"
        )
    };
    let sqlite = test("sqlite", "Sqlite", true);
    let postgres = test("postgres", "postgres()", HAS_POSTGRES);
    let module = format!("mod {name} {{ {sqlite} {postgres} }}");
    let module: TokenStream = module.parse().expect("a module");
    [function, module].into_iter().collect()
}

fn error(message: &str) -> TokenStream {
    let error = format!("compile_error!({message:?});");
    error.parse().expect("an error")
}
