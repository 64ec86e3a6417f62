//! What is fixed about an endpoint. The route tables are lists of these; the routes, the
//! answer to OPTIONS and the access test are made from them.

use actix_web::guard::{self, GuardContext};
use actix_web::http::Method;
use actix_web::{Resource, Route, web};

use super::csrf::StaleForm;
use super::request::negotiate::Renderers;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Anyone, as to log in; not a form or script of another site.
    Anyone,
    /// Someone who is logged in; a session must bring its CSRF token to write.
    LoggedIn,
}

/// An endpoint of the API, as DRF has them: its middleware is
/// [`super::middleware::view`].
#[derive(Debug)]
pub struct View {
    /// The name in the answer to OPTIONS.
    pub name: &'static str,
    /// The paths, with the final slash; they are served without it, too.
    pub paths: &'static [&'static str],
    /// The methods, as the `Allow` header lists them.
    pub allow: &'static str,
    /// Who may call it.
    pub permission: Permission,
    /// What it can answer in.
    pub renderers: Renderers,
    /// The media types of bodies that it reads.
    pub parsers: &'static [&'static str],
    /// The handlers; the middleware has checked the method.
    pub routes: fn() -> Vec<Route>,
}

impl View {
    /// Whether it only reads, and so needs no session next to a token.
    pub fn only_reads(&self) -> bool {
        methods(self.allow).all(|name| matches!(name, "GET" | "HEAD" | "OPTIONS"))
    }
}

/// A page, for browsers that want HTML: its middleware is [`super::middleware::page`].
#[derive(Debug)]
pub struct Page {
    /// The path, with the final slash; it is served without it, too.
    pub path: &'static str,
    /// The methods, as the `Allow` header lists them.
    pub allow: &'static str,
    /// Who may see it; others are sent to the login.
    pub permission: Permission,
    /// The handlers.
    pub routes: fn() -> Vec<Route>,
    /// What answers a form of ours whose CSRF token is too old, and does nothing else;
    /// without it that is 403.
    pub stale_form: Option<fn() -> Route>,
}

impl Page {
    /// All handlers. The one for stale forms is first, so that none reaches the others.
    pub fn all_routes(&self) -> Vec<Route> {
        let is_stale = |context: &GuardContext<'_>| context.req_data().contains::<StaleForm>();
        let stale = self
            .stale_form
            .map(|route| route().guard(guard::fn_guard(is_stale)));
        stale.into_iter().chain((self.routes)()).collect()
    }
}

/// The methods of an `Allow` header.
pub fn methods(allow: &str) -> impl Iterator<Item = &str> {
    allow.split(", ")
}

/// Whether an `Allow` header lists this method.
pub fn allows(allow: &str, method: &Method) -> bool {
    methods(allow).any(|name| name == method.as_str())
}

/// A path as it is served: with and without its final slash.
pub fn spellings(path: &str) -> impl Iterator<Item = &str> {
    let bare = path.trim_end_matches('/');
    [path, bare].into_iter().filter(|path| !path.is_empty())
}

/// One resource for each spelling: actix-web matches lists of paths by regular
/// expressions.
pub fn resources(
    path: &'static str,
    routes: impl Fn() -> Vec<Route>,
) -> impl Iterator<Item = Resource> {
    let routes = move || routes().into_iter();
    spellings(path).map(move |path| routes().fold(web::resource(path), Resource::route))
}

/// A route for GET, and for HEAD, whose answer goes out without its body.
pub fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
