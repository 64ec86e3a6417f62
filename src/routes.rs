//! The route tables by audience, and the order of middleware.

pub mod api;
pub mod ops;
pub mod pages;

use actix_identity::IdentityMiddleware;
use actix_session::SessionMiddleware;
use actix_session::config::{CookieContentSecurity, PersistentSession};
use actix_web::cookie::time::Duration;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web;

use crate::auth::Auth;
use crate::auth::sessions::USER_ID;
use crate::handlers::not_found;
use crate::http::csrf::Csrf;
use crate::http::middleware::host::{self, AllowedHosts};
use crate::http::middleware::limits::{self, Limits};
use crate::http::middleware::server_state::ServerState;
use crate::http::middleware::{cors, csrf_cookie};
use crate::http::request::client_ip::TrustedProxies;
use crate::http::session::cookie::{self, SessionCookie};
use crate::http::session::store::DjangoSessionStore;

/// What the routes need; made once, shared by all workers.
#[derive(Clone)]
pub struct Services {
    /// The rules.
    pub auth: web::Data<Auth>,
    /// Where requests may come from.
    pub csrf: web::Data<Csrf>,
    /// The hosts that are served.
    pub hosts: web::Data<AllowedHosts>,
    /// The proxies whose word on a client's address is taken.
    pub proxies: web::Data<TrustedProxies>,
    /// How large requests may be, and how slow.
    pub limits: web::Data<Limits>,
    /// The state of the server.
    pub server: web::Data<ServerState>,
    /// How the session cookie looks.
    pub session_cookie: web::Data<SessionCookie>,
}

/// Adds Portcullis's routes to an actix app, its own or one that embeds it.
pub fn configure(services: &Services) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let services = services.clone();
    move |app| {
        ops::mount(app);
        routes(app, &services);
        app.app_data(services.auth)
            .app_data(services.csrf)
            .app_data(services.hosts)
            .app_data(services.proxies)
            .app_data(services.limits)
            .app_data(services.server)
            .app_data(services.session_cookie);
    }
}

/// Of two `wrap`s, the later one is the outer one.
fn routes(app: &mut web::ServiceConfig, services: &Services) {
    let with_sessions = api::mount(pages::mount(web::scope("")))
        .default_service(web::to(not_found::not_found))
        .wrap(IdentityMiddleware::builder().id_key(USER_ID).build())
        .wrap(sessions(services))
        .wrap(from_fn(csrf_cookie::replace_malformed))
        .wrap(from_fn(cookie::translate));
    let origins = &services.csrf.cors_origins;
    let has_cors = !origins.is_empty();
    let tidy_cors = from_fn(cors::without_idle_headers);
    let for_our_hosts = api::mount_for_tokens(web::scope(""))
        .service(with_sessions)
        .wrap(from_fn(limits::enforce))
        .wrap(Condition::new(has_cors, cors::allow(origins)))
        .wrap(Condition::new(has_cors, tidy_cors))
        .wrap(from_fn(host::check));
    app.service(for_our_hosts);
}

fn sessions(services: &Services) -> SessionMiddleware<DjangoSessionStore> {
    let store = DjangoSessionStore::new(services.auth.get_ref().clone());
    let cookie = &services.session_cookie;
    let age = Duration::seconds(cookie.max_age);
    SessionMiddleware::builder(store, cookie.key.clone())
        .cookie_name(cookie.name.clone())
        .cookie_secure(cookie.secure)
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(PersistentSession::default().session_ttl(age))
        .build()
}
