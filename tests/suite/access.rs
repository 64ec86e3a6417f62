//! Who may call what: every view and page of the route tables, as every kind of
//! caller, against the permission in the table.

use each_database::each_database;
use portcullis::http::endpoint::{Page, Permission, View, methods, spellings};
use portcullis::routes::{api, ops, pages};
use reqwest::{Method, RequestBuilder};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anonymous,
    Token,
    /// A session, and its CSRF token in a header.
    Session,
    SessionWithoutCsrf,
    /// A session and its CSRF token, sent by a page of another site.
    SessionFromOtherSite,
    InactiveToken,
    InactiveSession,
}

use Caller::{
    Anonymous, InactiveSession, InactiveToken, Session, SessionFromOtherSite, SessionWithoutCsrf,
    Token,
};

const CALLERS: [Caller; 7] = [
    Anonymous,
    Token,
    Session,
    SessionWithoutCsrf,
    SessionFromOtherSite,
    InactiveToken,
    InactiveSession,
];

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The handler has answered, if only to refuse an empty form.
    Handled,
    /// It did not come so far.
    Refused(u16),
    /// A page sends the browser to the login.
    SentToLogin,
}

use Outcome::{Handled, Refused, SentToLogin};

fn of_view(view: &View, caller: Caller, writes: bool) -> Outcome {
    match (view.permission, caller) {
        // A bad token is refused wherever it comes.
        (_, InactiveToken) => Refused(401),
        (_, SessionFromOtherSite) if writes => Refused(403),
        (Permission::Anyone, _) => Handled,
        (Permission::LoggedIn, Anonymous | InactiveSession) => Refused(401),
        (Permission::LoggedIn, SessionWithoutCsrf) if writes => Refused(403),
        (Permission::LoggedIn, _) => Handled,
    }
}

fn of_page(page: &Page, caller: Caller, writes: bool) -> Outcome {
    match (page.permission, caller) {
        (_, InactiveToken) => Refused(401),
        // A form needs its CSRF token, whoever sends it.
        (_, Token | SessionWithoutCsrf | SessionFromOtherSite) if writes => Refused(403),
        (Permission::Anyone, _) => Handled,
        (Permission::LoggedIn, Anonymous | InactiveSession) => SentToLogin,
        (Permission::LoggedIn, _) => Handled,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let to_login = |location: &str| location.starts_with("/login/");
    match answer.status {
        303 if answer.header("location").is_some_and(to_login) => SentToLogin,
        200 | 303 | 400 => Handled,
        status => Refused(status),
    }
}

/// Sends a request without a body as this caller, who has just logged in.
async fn send(app: &TestApp, caller: Caller, request: RequestBuilder) -> Answer {
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let [session, csrf] = ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
    let cookies = format!("sessionid={session}; csrftoken={csrf}");
    let request = match caller {
        Anonymous => request,
        Token | InactiveToken => {
            request.header("Authorization", format!("Token {}", login.token()))
        }
        SessionWithoutCsrf => request.header("Cookie", cookies),
        Session | InactiveSession => request
            .header("Cookie", cookies)
            .header("X-CSRFToken", csrf),
        SessionFromOtherSite => request
            .header("Cookie", cookies)
            .header("X-CSRFToken", csrf)
            .header("Sec-Fetch-Site", "cross-site"),
    };
    let is_inactive = matches!(caller, InactiveToken | InactiveSession);
    let set_active = |is_active: bool| {
        app.database.execute(&format!(
            "UPDATE accounts_customuser SET is_active = {is_active}"
        ));
    };
    if is_inactive {
        set_active(false);
    }
    let answer = Answer::of(request).await;
    if is_inactive {
        set_active(true);
    }
    answer
}

async fn start(backend: &Backend) -> TestApp {
    let app = TestApp::start_with(backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    app
}

fn request(app: &TestApp, method: &str, path: &str, accept: &str) -> (Method, RequestBuilder) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = app
        .program()
        .request(method.clone(), format!("{}{path}", app.url))
        .header("Accept", accept);
    (method, request)
}

async fn assert_brew_is_not_allowed(app: &TestApp, path: &str, accept: &str, allow: &str) {
    let (_, request) = request(app, "BREW", path, accept);
    let answer = send(app, Token, request).await;
    assert_eq!(answer.status, 405, "BREW {path}");
    assert_eq!(answer.header("allow"), Some(allow), "{path}");
}

#[each_database]
async fn every_view_keeps_to_its_permission(backend: Backend) {
    let app = start(&backend).await;
    for view in &api::VIEWS {
        for path in view.paths.iter().flat_map(|path| spellings(path)) {
            for name in methods(view.allow) {
                for caller in CALLERS {
                    let (method, request) = request(&app, name, path, "application/json");
                    let answer = send(&app, caller, request).await;
                    let expected = of_view(view, caller, !method.is_safe());
                    let what = format!("{method} {path} by {caller:?}: {answer:?}");
                    assert_eq!(outcome(&answer), expected, "{what}");
                    assert_eq!(answer.header("allow"), Some(view.allow), "{what}");
                }
            }
            assert_brew_is_not_allowed(&app, path, "application/json", view.allow).await;
        }
    }
}

#[each_database]
async fn every_page_keeps_to_its_permission(backend: Backend) {
    let app = start(&backend).await;
    for page in &pages::PAGES {
        for path in spellings(page.path) {
            for name in methods(page.allow) {
                for caller in CALLERS {
                    let (method, request) = request(&app, name, path, "text/html");
                    let answer = send(&app, caller, request).await;
                    let expected = of_page(page, caller, !method.is_safe());
                    let what = format!("{method} {path} by {caller:?}: {answer:?}");
                    assert_eq!(outcome(&answer), expected, "{what}");
                    if expected == SentToLogin {
                        let back = format!("/login/?next={}", page.path);
                        assert_eq!(answer.header("location"), Some(back.as_str()), "{what}");
                    }
                }
            }
            assert_brew_is_not_allowed(&app, path, "text/html", page.allow).await;
        }
    }
}

#[each_database]
async fn every_probe_answers_anyone(backend: Backend) {
    let app = start(&backend).await;
    for probe in &ops::PROBES {
        for caller in CALLERS {
            let (_, request) = request(&app, "GET", probe.path, "*/*");
            let answer = send(&app, caller, request).await;
            assert_eq!(answer.status, 200, "{} by {caller:?}", probe.path);
        }
    }
}
