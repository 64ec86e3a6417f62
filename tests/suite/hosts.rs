//! `Host`, and other origins.

use each_database::each_database;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::support::app::{Answer, TestApp};
use crate::support::database::Backend;

async fn status(app: &TestApp, path: &str, host: &str) -> u16 {
    let host = HeaderValue::from_bytes(host.as_bytes()).unwrap();
    let request = app
        .program()
        .get(format!("{}{path}", app.url))
        .header("Host", host);
    Answer::of(request).await.status
}

#[each_database]
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

#[each_database]
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

#[each_database]
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
        "",
        "*",
        "https://app.example.org.evil.example",
        "https://evil.example/https://app.example.org",
        "https://app.example.org@evil.example",
        "https://app.example.org:444",
        "https://app.example.org/",
        "https://app.example.org evil.example",
        "https://app.example.org, https://evil.example",
        "https://evilapp.example.org",
        "https://x.app.example.org",
        "https://appxexample.org",
        "http://app.example.org",
        "HTTPS://APP.EXAMPLE.ORG",
        "app.example.org",
        "file://",
    ] {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = ask(method, origin).await;
            let names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            let is_cors = |name: &String| name.starts_with("access-control-");
            assert!(!names.iter().any(is_cors), "{origin}: {names:?}");
        }
    }
    let elsewhere = app
        .program()
        .request(Method::OPTIONS, format!("{}/api/v1/user/", app.url))
        .header("Host", "evil.example")
        .header("Origin", "https://app.example.org")
        .header("Access-Control-Request-Method", "GET");
    let answer = Answer::of(elsewhere).await;
    assert_eq!((answer.status, answer.header(allowed)), (400, None));
}

/// CORS lets a page read; Django's setting lets it write.
#[each_database]
async fn a_listed_origin_writes_by_session_only_if_it_is_trusted(backend: Backend) {
    let origin = "https://app.example.org";
    for (trusted, status) in [("", 403), (origin, 200)] {
        let settings = [
            ("PORTCULLIS_CORS_ORIGINS", origin),
            ("PORTCULLIS_TRUSTED_ORIGINS", trusted),
        ];
        let app = TestApp::start_with(&backend, &settings).await;
        app.create_user("alice", "a password").await;
        let post = |path: &str| {
            let url = format!("{}{path}", app.url);
            app.program().post(url).header("Origin", origin)
        };
        let body = serde_json::json!({"username": "alice", "password": "a password"});
        let login = Answer::of(post("/login/").json(&body)).await;
        assert_eq!(login.status, 200);
        assert_eq!(
            login.header("access-control-allow-credentials"),
            Some("true")
        );
        let cookies = ["sessionid", "csrftoken"]
            .map(|name| format!("{name}={}", login.cookie(name).unwrap()))
            .join("; ");
        let by_session = post("/logout/")
            .header("Cookie", cookies)
            .header("X-CSRFToken", login.cookie("csrftoken").unwrap());
        let answer = Answer::of(by_session).await;
        assert_eq!(answer.status, status, "trusted: {trusted}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let login = Answer::of(post("/login/").json(&body)).await;
        let by_token = post("/logout/").header("Authorization", format!("Token {}", login.token()));
        assert_eq!(
            Answer::of(by_token).await.status,
            200,
            "a token needs no trust"
        );
    }
}

/// What every answer says, whatever was asked and whoever asked.
#[each_database]
async fn every_answer_has_its_headers(backend: Backend) {
    for (public_url, hsts) in [
        ("http://login.example.org", None),
        ("https://login.example.org", Some("max-age=31536000")),
    ] {
        let settings = [
            ("PORTCULLIS_PUBLIC_URL", public_url),
            ("PORTCULLIS_ALLOWED_HOSTS", "localhost,127.0.0.1"),
        ];
        let app = TestApp::start_with(&backend, &settings).await;
        app.create_user("alice", "a password").await;
        let login = app.log_in(&app.program(), "alice", "a password").await;
        let token = format!("Token {}", login.token());
        // A client cannot make us believe that it is on https.
        for (method, path, host, status) in [
            (Method::GET, "/api/v1/user/", "localhost", 200),
            (Method::HEAD, "/api/v1/user/", "localhost", 200),
            (Method::OPTIONS, "/api/v1/user/", "localhost", 200),
            (Method::PUT, "/api/v1/user/", "localhost", 405),
            (Method::GET, "/api/v1/user/?format=xml", "localhost", 404),
            (Method::GET, "/nowhere", "localhost", 404),
            (Method::GET, "/nowhere", "evil.example", 400),
            (Method::GET, "/readyz", "localhost", 200),
            (Method::POST, "/readyz", "localhost", 405),
            (Method::POST, "/static/portcullis.css", "localhost", 405),
            (Method::POST, "/api/v1/login/", "localhost", 400),
            (Method::POST, "/api/v1/logout/", "localhost", 200),
            (Method::POST, "/api/v1/logout/", "localhost", 401),
        ] {
            let request = app
                .program()
                .request(method.clone(), format!("{}{path}", app.url))
                .header("Host", host)
                .header("X-Forwarded-Proto", "https")
                .header("Authorization", &token);
            let answer = Answer::of(request).await;
            let what = format!("{public_url} {method} {path}");
            assert_eq!(answer.status, status, "{what}");
            for (name, value) in [
                ("cache-control", Some("no-store")),
                ("strict-transport-security", hsts),
                ("x-content-type-options", Some("nosniff")),
                ("x-frame-options", Some("DENY")),
                ("referrer-policy", Some("same-origin")),
                ("cross-origin-opener-policy", Some("same-origin")),
                ("cross-origin-resource-policy", Some("same-origin")),
            ] {
                assert_eq!(answer.header(name), value, "{what}: {name}");
            }
            let vary = answer.header("vary").unwrap();
            assert!(
                ["Authorization", "Cookie"]
                    .iter()
                    .all(|name| vary.contains(name)),
                "{vary}"
            );
            let csp = answer.header("content-security-policy").unwrap();
            assert!(csp.contains("frame-ancestors 'none'"), "{what}: {csp}");
            if let Some(kind) = answer.header("content-type") {
                let says = kind == "application/json" || kind.ends_with("; charset=utf-8");
                assert!(says, "{what}: {kind}");
            }
        }
        let secure = login.set_cookie("sessionid").unwrap().ends_with("; Secure");
        assert_eq!(secure, hsts.is_some(), "{public_url}");
    }
}
