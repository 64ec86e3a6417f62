//! The pages, over HTTP. What a browser makes of them is tested with one.

use reqwest::{Client, Method};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::registry::{DatabaseTest, on_each_database};

pub const TESTS: &[DatabaseTest] = on_each_database![
    the_form_logs_in_and_leads_on,
    the_form_leads_to_no_other_site,
    a_failed_form_comes_again_with_one_error,
    a_form_of_another_site_is_refused,
    the_token_is_shown_only_on_request,
    the_button_logs_out,
    pages_have_nothing_inline_and_are_not_kept,
    static_files_are_kept_and_asked_for_again,
    programs_get_no_pages,
];

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

async fn the_form_leads_to_no_other_site(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    for next in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\t//evil.example",
    ] {
        let answer = fill_in(&app, &app.browser(), PASSWORD, next).await;
        assert_eq!(answer.header("location"), Some("/account/"), "{next}");
    }
}

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
