//! The one route table, and the order of middleware.

use actix_cors::Cors;
use actix_identity::IdentityMiddleware;
use actix_session::SessionMiddleware;
use actix_session::config::{CookieContentSecurity, PersistentSession};
use actix_web::guard::{self, GuardContext};
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{Resource, Route, cookie, web};

use crate::auth::Auth;
use crate::auth::sessions::USER_ID;
use crate::handlers::{
    account, health, login, logout, not_found, obtain_token, static_files, user,
};
use crate::http::client_ip::TrustedProxies;
use crate::http::csrf::{self, Csrf};
use crate::http::limits::{self, Limits};
use crate::http::negotiate::{self, Renderers};
use crate::http::server_state::ServerState;
use crate::http::session_cookie::SessionCookie;
use crate::http::session_store::DjangoSessionStore;
use crate::http::view::{self, Permission, View};
use crate::http::{authentication, headers, host, page, session_cookie};
use crate::settings::AllowedHosts;

static LOGIN: View = View {
    name: "Login",
    allow: "POST, OPTIONS",
    permission: Permission::Anyone,
    renderers: Renderers::JsonAndHtml,
};
static LOGOUT: View = View {
    name: "Logout",
    allow: "POST, OPTIONS",
    permission: Permission::LoggedIn,
    renderers: Renderers::JsonAndHtml,
};
static USER: View = View {
    name: "User",
    allow: "GET, HEAD, OPTIONS",
    permission: Permission::LoggedIn,
    renderers: Renderers::JsonAndHtml,
};
static OBTAIN_TOKEN: View = View {
    name: "Obtain Auth Token",
    allow: "POST, OPTIONS",
    permission: Permission::Anyone,
    renderers: Renderers::Json,
};

/// A DRF view: what is decided before its handler runs stands in the `View`.
macro_rules! api {
    ($view:ident, $path:expr) => {
        web::resource($path).wrap(from_fn(|request, next| view::serve(&$view, request, next)))
    };
}

/// A page, for browsers only, and its `Allow` header.
macro_rules! page {
    ($allow:literal, $path:expr) => {
        web::resource($path)
            .guard(guard::fn_guard(wants_page))
            .wrap(from_fn(page::serve))
            .default_service(web::route().to(|| async { not_found::page_not_allowed($allow) }))
    };
}

/// What the routes need; made once, shared by all workers.
#[derive(Clone)]
pub struct Services {
    /// The rules.
    pub auth: web::Data<Auth>,
    /// Where requests may come from.
    pub csrf: web::Data<Csrf>,
    /// What hosts they may be for.
    pub hosts: web::Data<AllowedHosts>,
    /// Whose word on a client's address is taken.
    pub proxies: web::Data<TrustedProxies>,
    /// How large they may be, and how long they may take to come.
    pub limits: web::Data<Limits>,
    /// How the server stands.
    pub server: web::Data<ServerState>,
    /// How the session cookie looks.
    pub session_cookie: web::Data<SessionCookie>,
}

/// Adds Portcullis's routes to an actix app, its own or one that embeds it.
pub fn configure(services: &Services) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let services = services.clone();
    move |app| routes(app, services)
}

fn routes(app: &mut web::ServiceConfig, services: Services) {
    let Services {
        auth,
        csrf,
        hosts,
        proxies,
        limits,
        server,
        session_cookie,
    } = services;
    let store = DjangoSessionStore::new(auth.get_ref().clone());
    let sessions = SessionMiddleware::builder(store, session_cookie.key.clone())
        .cookie_name(session_cookie.name.clone())
        .cookie_secure(session_cookie.secure)
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(
            PersistentSession::default()
                .session_ttl(cookie::time::Duration::seconds(session_cookie.max_age)),
        )
        .build();
    // Who is asking is found out inside of these, so the last one runs first.
    let mut with_cookies = web::scope("")
        .wrap(IdentityMiddleware::builder().id_key(USER_ID).build())
        .wrap(sessions)
        .wrap(from_fn(csrf::replace_malformed))
        .wrap(from_fn(session_cookie::translate));
    let mut for_our_hosts = web::scope("")
        .wrap(from_fn(limits::keep))
        .wrap(Condition::new(
            !csrf.cors_origins.is_empty(),
            cors(&csrf.cors_origins),
        ))
        .wrap(Condition::new(
            !csrf.cors_origins.is_empty(),
            from_fn(headers::without_idle_cors),
        ))
        .wrap(from_fn(host::check));

    app.app_data(auth)
        .app_data(csrf)
        .app_data(hosts)
        .app_data(proxies)
        .app_data(limits)
        .app_data(server)
        .app_data(session_cookie)
        // For whoever runs the service
        .service(read_only("/healthz").route(get().to(health::healthz)))
        .service(read_only("/readyz").route(get().to(health::readyz)));
    for file in static_files::FILES {
        app.service(read_only(file.path).route(get().to(static_files::show_file)));
    }
    // Each path is a resource of its own: a list of them would be matched by
    // regular expressions, all of them one after the other.
    for slash in ["/", ""] {
        let at = |path: &str| format!("{path}{slash}");
        // The one request that every service asks: it goes past the sessions.
        for_our_hosts = for_our_hosts.service(
            api!(USER, at("/api/v1/user"))
                .guard(guard::fn_guard(brings_only_a_token))
                .to(user::show_user),
        );
        with_cookies = with_cookies
            // For programs
            .service(api!(USER, at("/api/v1/user")).to(user::show_user))
            .service(api!(LOGIN, at("/api/v1/login")).to(login::submit_login))
            .service(api!(LOGOUT, at("/api/v1/logout")).to(logout::submit_logout))
            .service(api!(OBTAIN_TOKEN, at("/api-token-auth")).to(obtain_token::obtain_token))
            // For people at a browser, and then for programs again
            .service(
                page!("GET, HEAD, POST", at("/login"))
                    .route(get().to(login::show_login))
                    .route(web::post().to(login::submit_login_form)),
            )
            .service(page!("POST", at("/logout")).route(web::post().to(logout::submit_logout_form)))
            .service(
                page!("GET, HEAD, POST", at("/account"))
                    .route(get().to(account::show_account))
                    .route(web::post().to(account::show_token)),
            )
            .service(api!(LOGIN, at("/login")).to(login::submit_login))
            .service(api!(LOGOUT, at("/logout")).to(logout::submit_logout));
    }
    app.service(
        for_our_hosts.service(
            with_cookies
                .service(page!("GET, HEAD", "/").route(get().to(account::to_account)))
                .default_service(web::route().to(not_found::not_found)),
        ),
    );
}

/// What can only be looked at, by anyone.
fn read_only(path: &str) -> Resource {
    web::resource(path)
        .default_service(web::route().to(|| async { not_found::not_allowed("GET, HEAD") }))
}

/// GET, and HEAD, which is decided alike; the body is then left out on the wire.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A browser that wants to read the answer; others go on to the API.
fn wants_page(context: &GuardContext<'_>) -> bool {
    negotiate::wants_page(context.head())
}

/// A program that has no cookie, and needs no session to be looked for.
fn brings_only_a_token(context: &GuardContext<'_>) -> bool {
    let headers = context.head().headers();
    authentication::has_token(headers) && !headers.contains_key(header::COOKIE)
}

/// CORS for the listed origins, and for nobody else.
fn cors(origins: &[String]) -> Cors {
    origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin))
        .allowed_methods([Method::GET, Method::POST])
        .allowed_headers([header::AUTHORIZATION, header::ACCEPT, header::CONTENT_TYPE])
        .allowed_header("x-csrftoken")
        .supports_credentials()
        .max_age(3600)
}
