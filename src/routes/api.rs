//! Endpoints for programs. To add one, add a [`View`] to the table.

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{self, GuardContext};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{Resource, Scope, web};

use crate::handlers::api::{login, logout, token, user};
use crate::http::endpoint::{Permission, View, resources};
use crate::http::middleware::view;
use crate::http::request::authorization;
use crate::http::request::body::MEDIA_TYPES;
use crate::http::request::negotiate::Renderers;

/// The table.
pub static VIEWS: [View; 4] = [
    View {
        name: "User",
        paths: &["/api/v1/user/"],
        allow: "GET, HEAD, OPTIONS",
        permission: Permission::LoggedIn,
        renderers: Renderers::JsonAndHtml,
        parsers: MEDIA_TYPES,
        routes: || vec![web::to(user::show_user)],
    },
    View {
        name: "Login",
        paths: &["/api/v1/login/", "/login/"],
        allow: "POST, OPTIONS",
        permission: Permission::Anyone,
        renderers: Renderers::JsonAndHtml,
        parsers: MEDIA_TYPES,
        routes: || vec![web::to(login::submit_login)],
    },
    View {
        name: "Logout",
        paths: &["/api/v1/logout/", "/logout/"],
        allow: "POST, OPTIONS",
        permission: Permission::LoggedIn,
        renderers: Renderers::JsonAndHtml,
        parsers: MEDIA_TYPES,
        routes: || vec![web::to(logout::submit_logout)],
    },
    View {
        name: "Obtain Auth Token",
        paths: &["/api-token-auth/"],
        allow: "POST, OPTIONS",
        permission: Permission::Anyone,
        renderers: Renderers::Json,
        parsers: MEDIA_TYPES,
        routes: || vec![web::to(token::obtain_token)],
    },
];

/// Adds all views, behind the pages of the same paths.
pub fn mount(scope: Scope) -> Scope {
    views().fold(scope, |scope, (view, resource)| {
        scope.service(with_rules(view, resource))
    })
}

/// Adds the views that only read, for programs that bring a token and no cookie: outside
/// of the sessions' middleware, since other services ask this all day.
pub fn mount_for_tokens(scope: Scope) -> Scope {
    let reads = views().filter(|(view, _)| view.only_reads());
    reads.fold(scope, |scope, (view, resource)| {
        let resource = resource.guard(guard::fn_guard(brings_only_a_token));
        scope.service(with_rules(view, resource))
    })
}

fn views() -> impl Iterator<Item = (&'static View, Resource)> {
    VIEWS.iter().flat_map(|view| {
        let paths = view.paths.iter();
        paths.flat_map(move |path| resources(path, view.routes).map(move |new| (view, new)))
    })
}

fn with_rules(view: &'static View, resource: Resource) -> impl HttpServiceFactory + 'static {
    resource.wrap(from_fn(move |request, next| {
        view::serve(view, request, next)
    }))
}

fn brings_only_a_token(context: &GuardContext<'_>) -> bool {
    let headers = context.head().headers();
    authorization::has_token(headers) && !headers.contains_key(header::COOKIE)
}
