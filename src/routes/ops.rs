//! What anyone may read, for whatever host: probes and static files.

use actix_web::http::header::ALLOW;
use actix_web::{HttpResponse, Route, web};

use crate::handlers::ops::{health, static_files};
use crate::http::endpoint::get;

/// An endpoint for those who run the service.
pub struct Probe {
    /// The path.
    pub path: &'static str,
    /// The handler of GET and HEAD.
    pub route: fn() -> Route,
}

/// The table.
pub static PROBES: [Probe; 2] = [
    Probe {
        path: "/healthz",
        route: || get().to(health::healthz),
    },
    Probe {
        path: "/readyz",
        route: || get().to(health::readyz),
    },
];

/// Adds all of them.
pub fn mount(app: &mut web::ServiceConfig) {
    for probe in &PROBES {
        add(app, probe.path, (probe.route)());
    }
    for file in static_files::FILES {
        add(app, file.path, get().to(static_files::show_file));
    }
}

fn add(app: &mut web::ServiceConfig, path: &str, route: Route) {
    let resource = web::resource(path).route(route);
    app.service(resource.default_service(web::to(not_allowed)));
}

/// 405 without a body, as in Django.
async fn not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, "GET, HEAD"))
        .finish()
}
