//! `Host`, and other origins.

use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::support::app::{Answer, TestApp};
use crate::support::database::Backend;
use crate::support::registry::{DatabaseTest, on_each_database};

pub const TESTS: &[DatabaseTest] = on_each_database![
    only_our_hosts_are_answered,
    listed_hosts_are_answered_and_https_is_secure,
    only_listed_origins_may_read_answers,
];

async fn status(app: &TestApp, path: &str, host: &str) -> u16 {
    let host = HeaderValue::from_bytes(host.as_bytes()).unwrap();
    let request = app
        .program()
        .get(format!("{}{path}", app.url))
        .header("Host", host);
    Answer::of(request).await.status
}

async fn only_our_hosts_are_answered(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for host in ["localhost", "127.0.0.1:1", "[::1]:8000", "LOCALHOST."] {
        assert_eq!(status(&app, "/api/v1/user/", host).await, 401, "{host}");
    }
    for host in [
        "evil.example",
        "localhost:x",
        "localhost@evil.example",
        "a b",
        "é",
    ] {
        assert_eq!(status(&app, "/api/v1/user/", host).await, 400, "{host}");
        assert_eq!(status(&app, "/healthz", host).await, 200, "{host}");
        assert_eq!(status(&app, "/readyz", host).await, 200, "{host}");
    }
}

async fn listed_hosts_are_answered_and_https_is_secure(backend: Backend) {
    let settings = [
        ("PORTCULLIS_PUBLIC_URL", "https://login.example.org"),
        ("PORTCULLIS_ALLOWED_HOSTS", "login.example.org,.internal"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", "a password").await;
    for (host, expected) in [
        ("login.example.org", 401),
        ("a.internal", 401),
        ("localhost", 400),
    ] {
        assert_eq!(
            status(&app, "/api/v1/user/", host).await,
            expected,
            "{host}"
        );
    }
    let request = app
        .program()
        .post(format!("{}/login/", app.url))
        .header("Host", "login.example.org")
        .json(&serde_json::json!({"username": "alice", "password": "a password"}));
    let answer = Answer::of(request).await;
    for cookie in ["sessionid", "csrftoken"] {
        assert!(
            answer.set_cookie(cookie).unwrap().ends_with("; Secure"),
            "{cookie}"
        );
    }
    assert_eq!(
        answer.header("strict-transport-security"),
        Some("max-age=31536000")
    );
}

async fn only_listed_origins_may_read_answers(backend: Backend) {
    let settings = [("PORTCULLIS_CORS_ORIGINS", "https://app.example.org")];
    let app = TestApp::start_with(&backend, &settings).await;
    let ask = async |method: Method, origin: &str| {
        let request = app
            .program()
            .request(method, format!("{}/api/v1/user/", app.url))
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization");
        Answer::of(request).await
    };

    let preflight = ask(Method::OPTIONS, "https://app.example.org").await;
    assert_eq!(preflight.status, 200);
    let allowed = "access-control-allow-origin";
    assert_eq!(preflight.header(allowed), Some("https://app.example.org"));
    let answer = ask(Method::GET, "https://app.example.org").await;
    assert_eq!(answer.header(allowed), Some("https://app.example.org"));
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.org.evil.example",
    ] {
        for method in [Method::OPTIONS, Method::GET] {
            assert_eq!(ask(method, origin).await.header(allowed), None, "{origin}");
        }
    }
}
