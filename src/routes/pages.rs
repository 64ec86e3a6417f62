//! Pages for people at a browser. To add one, add a [`Page`] to the table.

use actix_web::guard::{self, GuardContext};
use actix_web::middleware::from_fn;
use actix_web::{Scope, web};

use crate::handlers::pages::{account, login, logout};
use crate::http::endpoint::{Page, Permission, get, resources};
use crate::http::middleware::page;
use crate::http::request::negotiate;

/// The table.
pub static PAGES: [Page; 4] = [
    Page {
        path: "/login/",
        allow: "GET, HEAD, POST",
        permission: Permission::Anyone,
        routes: || {
            vec![
                get().to(login::show_login),
                web::post().to(login::submit_login),
            ]
        },
        stale_form: Some(|| web::post().to(login::renew_form)),
    },
    Page {
        path: "/logout/",
        allow: "POST",
        permission: Permission::Anyone,
        routes: || vec![web::post().to(logout::submit_logout)],
        stale_form: None,
    },
    Page {
        path: "/account/",
        allow: "GET, HEAD, POST",
        permission: Permission::LoggedIn,
        routes: || {
            vec![
                get().to(account::show_account),
                web::post().to(account::show_token),
            ]
        },
        stale_form: None,
    },
    Page {
        path: "/",
        allow: "GET, HEAD",
        permission: Permission::Anyone,
        routes: || vec![get().to(account::to_account)],
        stale_form: None,
    },
];

/// Adds all pages. Clients that do not want HTML go on to the views.
pub fn mount(scope: Scope) -> Scope {
    PAGES.iter().fold(scope, |scope, page| {
        resources(page.path, || page.all_routes()).fold(scope, |scope, resource| {
            scope.service(resource.guard(guard::fn_guard(wants_page)).wrap(from_fn(
                move |request, next| page::serve(page, request, next),
            )))
        })
    })
}

fn wants_page(context: &GuardContext<'_>) -> bool {
    negotiate::wants_page(context.head())
}
