//! The pages, over HTTP. What a browser makes of them is tested with one.

use each_database::each_database;
use reqwest::{Client, Method};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn open(app: &TestApp, browser: &Client, path: &str) -> Answer {
    Answer::of(
        browser
            .get(format!("{}{path}", app.url))
            .header("Accept", ACCEPT),
    )
    .await
}

async fn send(app: &TestApp, browser: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = browser
        .post(format!("{}{path}", app.url))
        .header("Accept", ACCEPT)
        .header("Origin", &app.url)
        .form(fields);
    Answer::of(request).await
}

/// The hidden token of the first form on a page.
fn token_in(page: &Answer) -> String {
    let (_, rest) = page
        .body
        .split_once("name=\"csrfmiddlewaretoken\" value=\"")
        .expect("a form");
    rest.split('"').next().expect("a value").to_owned()
}

async fn fill_in(app: &TestApp, browser: &Client, password: &str, next: &str) -> Answer {
    let page = open(app, browser, "/login/").await;
    let token = token_in(&page);
    let fields = [
        ("csrfmiddlewaretoken", token.as_str()),
        ("username", "alice"),
        ("password", password),
        ("next", next),
    ];
    send(app, browser, "/login/", &fields).await
}

#[each_database]
async fn the_form_logs_in_and_leads_on(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();

    let page = open(&app, &browser, "/login/?next=/account/%3Fa=b").await;
    assert_eq!(page.status, 200);
    assert_eq!(token_in(&page).len(), 64, "masked");
    assert!(
        page.body.contains("name=\"next\" value=\"/account/?a=b\""),
        "{}",
        page.body
    );

    let answer = fill_in(&app, &browser, PASSWORD, "/account/?a=b").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/account/?a=b"));
    let account = open(&app, &browser, "/account/").await;
    assert!(account.status == 200 && account.body.contains("alice@example.com"));
    let default = fill_in(&app, &app.browser(), PASSWORD, "").await;
    assert_eq!(default.header("location"), Some("/account/"));
}

#[each_database]
async fn the_form_leads_to_no_other_site(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let long = format!("/{}", "a".repeat(8192));
    let hostile = HOSTILE_NEXT.iter().copied().chain([long.as_str()]);
    let (browser, mut count) = (app.browser(), 0);
    for next in hostile {
        let answer = fill_in(&app, &browser, PASSWORD, next).await;
        let location = answer.header("location");
        assert_eq!(
            (answer.status, location),
            (303, Some("/account/")),
            "{next:?}"
        );
        let page = Answer::of(
            browser
                .get(format!("{}/login/", app.url))
                .query(&[("next", next)])
                .header("Referer", "https://evil.example/")
                .header("Accept", ACCEPT),
        );
        let page = page.await;
        assert!(
            !page.body.contains("name=\"next\""),
            "{next:?}: {}",
            page.body
        );
        assert!(!page.body.contains("evil"), "{next:?}: {}", page.body);
        count += 1;
    }
    assert!(count >= 60, "{count}");
}

/// What leads, or could be made to lead, to another site.
const HOSTILE_NEXT: [&str; 69] = [
    "https://evil.example",
    "http://evil.example/",
    "HTTPS://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "/\\\\evil.example",
    "//\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\n//evil.example",
    "\r\n//evil.example",
    " //evil.example",
    "/ /evil.example",
    "//evil.example ",
    "\u{0}//evil.example",
    "/\u{0}/evil.example",
    "\u{8}//evil.example",
    "\u{c}//evil.example",
    "\u{a0}//evil.example",
    "\u{feff}//evil.example",
    "\u{2028}//evil.example",
    "\u{3000}//evil.example",
    "\u{ff0f}\u{ff0f}evil.example",
    "/\u{ff0f}evil.example",
    "/\u{2215}evil.example",
    "http:evil.example",
    "http:/evil.example",
    "http:///evil.example",
    "http:\\\\evil.example",
    "https:evil.example",
    "https:/\\evil.example",
    "https://127.0.0.1@evil.example",
    "https://evil.example#@127.0.0.1",
    "https://evil.example?127.0.0.1",
    "https://127.0.0.1.evil.example",
    "//127.0.0.1@evil.example",
    "//evil.example:80",
    "//evil%2eexample",
    "//[::1]",
    "//%65vil.example",
    "https://\u{435}vil.example",
    "//xn--vil-5cd.example",
    "javascript:alert('evil')",
    "JaVaScRiPt:alert('evil')",
    "java\tscript:alert('evil')",
    "\u{1}javascript:alert('evil')",
    "data:text/html,evil",
    "vbscript:evil",
    "file:///evil",
    "blob:https://evil.example/x",
    "ftp://evil.example",
    "mailto:evil@evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./..//evil.example",
    "/%2e//evil.example",
    "/%2e%2e//evil.example",
    "/a/..//evil.example",
    "evil.example",
    "account/evil",
    "/a\r\nSet-Cookie: evil=1",
];

#[each_database]
async fn a_failed_form_comes_again_with_one_error(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();
    let page = open(&app, &browser, "/login/").await;
    let token = token_in(&page);
    let name = "<script>\"'&";

    let fields = [
        ("csrfmiddlewaretoken", token.as_str()),
        ("username", name),
        ("password", "no"),
    ];
    let answer = send(&app, &browser, "/login/", &fields).await;

    assert_eq!(answer.status, 400);
    assert_eq!(answer.body.matches("role=\"alert\"").count(), 1);
    assert!(
        !answer.body.contains("<script>") && answer.body.contains("&#60;script&#62;"),
        "{}",
        answer.body
    );
    assert!(
        !answer.body.contains("value=\"no\""),
        "the password is not sent back"
    );
    assert_eq!(answer.set_cookie("sessionid"), None);
}

#[each_database]
async fn a_form_of_another_site_is_refused(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();
    let token = token_in(&open(&app, &browser, "/login/").await);
    let post = async |header: &'static str, value: &str, token: &str| {
        let fields = [
            ("csrfmiddlewaretoken", token),
            ("username", "alice"),
            ("password", PASSWORD),
        ];
        let request = browser
            .post(format!("{}/login/", app.url))
            .header("Accept", ACCEPT)
            .header(header, value)
            .form(&fields);
        Answer::of(request).await
    };

    for (header, value, token) in [
        ("Origin", "https://evil.example", token.as_str()),
        ("Sec-Fetch-Site", "cross-site", &token),
        ("Origin", app.url.as_str(), &"a".repeat(64)),
        ("Origin", app.url.as_str(), ""),
        ("X-Nothing", "said", ""),
    ] {
        let answer = post(header, value, token).await;
        assert_eq!(answer.status, 403, "{header}: {value}");
        assert!(
            answer
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
    }
    assert_eq!(app.database.count("django_session"), 0);
    assert_eq!(post("Origin", &app.url, &token).await.status, 303);
}

#[each_database]
async fn the_token_is_shown_only_on_request(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();
    fill_in(&app, &browser, PASSWORD, "").await;
    let api_token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

    let page = open(&app, &browser, "/account/").await;
    assert!(!page.body.contains(&api_token));
    let token = token_in(&page);
    let refused = send(&app, &browser, "/account/", &[("show_token", "1")]).await;
    assert_eq!(refused.status, 403);
    let fields = [("csrfmiddlewaretoken", token.as_str()), ("show_token", "1")];
    let shown = send(&app, &browser, "/account/", &fields).await;
    assert!(shown.status == 200 && shown.body.contains(&api_token));

    let nobody = open(&app, &app.browser(), "/account/").await;
    assert_eq!(
        (nobody.status, nobody.header("location")),
        (303, Some("/login/?next=/account/"))
    );
}

#[each_database]
async fn the_button_logs_out(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let browser = app.browser();
    fill_in(&app, &browser, PASSWORD, "").await;
    let page = open(&app, &browser, "/account/").await;

    assert_eq!(send(&app, &browser, "/logout/", &[]).await.status, 403);
    let token = token_in(&page);
    let answer = send(
        &app,
        &browser,
        "/logout/",
        &[("csrfmiddlewaretoken", &token)],
    )
    .await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    assert_eq!(app.database.count("django_session"), 0);
    assert_eq!(app.database.count("authtoken_token"), 0);
    assert_eq!(open(&app, &browser, "/account/").await.status, 303);
}

#[each_database]
async fn pages_have_nothing_inline_and_are_not_kept(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let browser = app.browser();
    for (path, status) in [
        ("/login/", 200),
        ("/nowhere/", 404),
        ("/logout/", 405),
        ("/account/", 303),
        ("/", 303),
    ] {
        let page = open(&app, &browser, path).await;
        assert_eq!(page.status, status, "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let csp = page.header("content-security-policy").expect("a policy");
        assert!(
            csp.starts_with("default-src 'none'; style-src 'self';") && !csp.contains("unsafe")
        );
        for inline in ["<script", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.body.contains(inline), "{path} has {inline}");
        }
    }
}

#[each_database]
async fn static_files_are_kept_and_asked_for_again(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for path in ["/static/portcullis.css", "/static/favicon.svg"] {
        let file = app.get(&app.program(), path).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("cache-control"), Some("public, max-age=3600"));
        let tag = file.header("etag").expect("a tag").to_owned();
        let request = app
            .program()
            .get(format!("{}{path}", app.url))
            .header("If-None-Match", tag);
        let again = Answer::of(request).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    assert_eq!(
        app.get(&app.program(), "/static/../Cargo.toml")
            .await
            .status,
        404
    );
}

#[each_database]
async fn programs_get_no_pages(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for accept in [
        "*/*",
        "application/json, text/plain, */*",
        "application/json",
    ] {
        let request = app
            .program()
            .request(Method::GET, format!("{}/login/", app.url))
            .header("Accept", accept);
        let answer = Answer::of(request).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (405, r#"{"detail":"Method \"GET\" not allowed."}"#)
        );
    }
}

/// What of an answer two requests must have in common: status, headers but
/// those with a random value in them, and which of those there are.
fn likeness(answer: &Answer) -> (u16, Vec<(String, String)>) {
    let mut headers: Vec<_> = answer
        .headers_but_date()
        .iter()
        .map(|(name, value)| {
            let value = value.to_str().unwrap();
            let value = value.split('=').next().unwrap();
            (name.to_string(), value.to_owned())
        })
        .collect();
    headers.sort();
    (answer.status, headers)
}

#[each_database]
async fn head_is_get_without_a_body(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let session = format!("sessionid={}", login.cookie("sessionid").unwrap());
    let bad = "sessionid=abcdefghijklmnopqrstuvwxyz012345";
    for path in [
        "/",
        "/login/",
        "/login",
        "/account/",
        "/account",
        "/logout/",
        "/nowhere/",
        "/healthz",
        "/readyz",
        "/static/portcullis.css",
        "/static/favicon.svg",
        "/static/nothing",
        "/api/v1/user/",
        "/api/v1/logout/",
    ] {
        for accept in [ACCEPT, "*/*"] {
            for cookie in ["", &session, bad] {
                let ask = async |method: Method| {
                    let request = app
                        .program()
                        .request(method, format!("{}{path}", app.url))
                        .header("Accept", accept)
                        .header("Cookie", cookie);
                    Answer::of(request).await
                };
                let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
                let what = format!("{path} {accept} {cookie}");
                assert_eq!(head.body, "", "{what}");
                if get.status == 405 {
                    // The body says which method it was, so its length differs.
                    assert_eq!(head.status, 405, "{what}");
                } else {
                    assert_eq!(likeness(&head), likeness(&get), "{what}");
                    let length = get.body.len().to_string();
                    assert_eq!(
                        head.header("content-length"),
                        Some(length.as_str()),
                        "{what}"
                    );
                }
            }
        }
    }
    for (token, status) in [(login.token(), 200), ("0".repeat(40), 401)] {
        let answer = app.with_token(Method::HEAD, "/api/v1/user/", &token).await;
        assert_eq!(answer.status, status);
    }
}

/// Whatever the method is called, it opens nothing that GET would not.
#[each_database]
async fn other_methods_are_told_which_there_are(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let authorization = format!("Token {token}");
    let ask = async |method: &str, path: &str, accept: &str, headers: &[(&str, &str)]| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = app
            .program()
            .request(method, format!("{}{path}", app.url))
            .header("Accept", accept);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request).await
    };
    for (path, accept, allow) in [
        ("/", ACCEPT, "GET, HEAD"),
        ("/login/", ACCEPT, "GET, HEAD, POST"),
        ("/logout/", ACCEPT, "POST"),
        ("/account", ACCEPT, "GET, HEAD, POST"),
        ("/healthz", "*/*", "GET, HEAD"),
        ("/readyz", "*/*", "GET, HEAD"),
        ("/static/portcullis.css", "*/*", "GET, HEAD"),
        ("/login/", "*/*", "POST, OPTIONS"),
        ("/logout/", "*/*", "POST, OPTIONS"),
        ("/api/v1/user/", "*/*", "GET, HEAD, OPTIONS"),
        ("/api-token-auth/", "*/*", "POST, OPTIONS"),
    ] {
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "X"] {
            let known = [("Authorization", authorization.as_str())];
            let answer = ask(method, path, accept, &known).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(!answer.body.contains("alice") && !answer.body.contains(&token));
        }
    }
    for method in ["PUT", "TRACE", "get", "X", "HEAD"] {
        assert_eq!(
            ask(method, "/api/v1/user/", "*/*", &[]).await.status,
            401,
            "{method}"
        );
    }
    // A method in a header, a query or a form is no method.
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        let headers = [("Authorization", authorization.as_str()), (name, "POST")];
        let answer = ask("GET", "/api/v1/logout/?_method=POST", "*/*", &headers).await;
        assert_eq!(answer.status, 405, "{name}");
        let headers = [("Authorization", authorization.as_str()), (name, "GET")];
        let answer = ask("POST", "/api/v1/user/", "*/*", &headers).await;
        assert_eq!(answer.status, 405, "{name}");
    }
    assert_eq!(
        app.user_by_token(&token).await.status,
        200,
        "still logged in"
    );
}

#[each_database]
async fn a_form_that_cannot_be_read_is_refused_with_a_page(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let form = "application/x-www-form-urlencoded";
    for path in ["/login/", "/account/"] {
        for (kind, body, status) in [
            ("text/plain", "x".to_owned(), 415),
            ("application/json", "{".to_owned(), 400),
            ("application/json; charset=bz2", "{}".to_owned(), 400),
            ("multipart/form-data", "--x\r\n".to_owned(), 400),
            (form, "a=1&".repeat(1001), 400),
            (form, "x".repeat(65_537), 413),
        ] {
            let request = app
                .program()
                .post(format!("{}{path}", app.url))
                .header("Accept", ACCEPT)
                .header("Content-Type", kind)
                .body(body);
            let answer = Answer::of(request).await;
            assert_eq!(answer.status, status, "{path} {kind}");
            assert_eq!(
                answer.header("content-type"),
                Some("text/html; charset=utf-8"),
                "{path} {kind}"
            );
            assert_eq!(answer.body.matches("<h1>").count(), 1, "{}", answer.body);
        }
    }
}
