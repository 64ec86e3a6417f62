//! Who am I, and DRF's ways of asking.

use each_database::each_database;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

#[each_database]
async fn the_owner_of_a_token_is_shown(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let id = app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();

    let answer = app.user_by_token(&token).await;

    let expected = format!(
        r#"{{"id":{id},"username":"alice","email":"alice@example.com","first_name":"","last_name":""}}"#
    );
    assert_eq!((answer.status, answer.body), (200, expected));
}

#[each_database]
async fn every_authorization_header_is_read_as_drf_reads_it(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let key = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let ask = async |header: &[u8]| {
        let request = app
            .program()
            .get(format!("{}/api/v1/user/", app.url))
            .header("Authorization", HeaderValue::from_bytes(header).unwrap());
        Answer::of(request).await
    };

    for good in [
        "Token {}",
        "token {}",
        "TOKEN {}",
        "Token   {}",
        "Token\t{}",
        "  Token {}  ",
    ] {
        let header = good.replace("{}", &key);
        assert_eq!(ask(header.as_bytes()).await.status, 200, "{header:?}");
    }
    let none = "Authentication credentials were not provided.";
    let spaces = "Invalid token header. Token string should not contain spaces.";
    let upper = key.to_uppercase();
    for (header, detail) in [
        (
            "Token".to_owned(),
            "Invalid token header. No credentials provided.",
        ),
        ("Token a b".to_owned(), spaces),
        (format!("Token {key} {key}"), spaces),
        ("Token x".to_owned(), "Invalid token."),
        (format!("Token {key}0"), "Invalid token."),
        (format!("Token {}", &key[1..]), "Invalid token."),
        (format!("Token \"{key}\""), "Invalid token."),
        (format!("Token {upper}x"), "Invalid token."),
        (format!("Token é{key}"), "Invalid token."),
        ("Token %".to_owned(), "Invalid token."),
        (format!("Token {}", "a".repeat(4000)), "Invalid token."),
        (format!("Bearer {key}"), none),
        (key.clone(), none),
        (format!("Token:{key}"), none),
        (format!("Token={key}"), none),
        (String::new(), none),
        ("Basic YTpi".to_owned(), none),
    ] {
        let answer = ask(header.as_bytes()).await;
        assert_eq!(answer.status, 401, "{header:?}");
        assert_eq!(answer.json()["detail"], detail, "{header:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Token"));
    }
    let answer = ask(b"Token \xff\xfe").await;
    assert_eq!(
        answer.json()["detail"],
        "Invalid token header. Token string should not contain invalid characters."
    );
}

#[each_database]
async fn methods_are_answered_as_drf_answers_them(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let user = "/api/v1/user/";

    let head = app.with_token(Method::HEAD, user, &token).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let options = app.with_token(Method::OPTIONS, user, &token).await;
    assert_eq!(
        options.body,
        r#"{"name":"User","description":"","renders":["application/json","text/html"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}"#
    );
    let post = app.with_token(Method::POST, user, &token).await;
    assert_eq!(post.status, 405);
    assert_eq!(post.body, r#"{"detail":"Method \"POST\" not allowed."}"#);
    assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS"));
    for method in ["GET", "PUT", "DELETE", "TRACE", "FOO"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = app
            .program()
            .request(method.clone(), format!("{}/login/", app.url));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    }
}

#[each_database]
async fn formats_are_negotiated_as_drf_negotiates_them(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let ask = async |query: &str, accept: &str| {
        let request = app
            .program()
            .get(format!("{}/api/v1/user/{query}", app.url))
            .header("Authorization", format!("Token {token}"))
            .header("Accept", accept);
        Answer::of(request).await
    };

    let indented = ask("", "application/json; indent=4").await;
    assert!(
        indented.body.starts_with("{\n    \"id\": "),
        "{}",
        indented.body
    );
    for accept in ["application/xml", "text/plain", "", "garbage"] {
        let answer = ask("", accept).await;
        assert_eq!(answer.status, 406, "{accept}");
        assert_eq!(
            answer.json()["detail"],
            "Could not satisfy the request Accept header."
        );
    }
    assert_eq!(ask("?format=json", "text/plain").await.status, 200);
    let unknown = ask("?format=xml", "*/*").await;
    assert_eq!(
        (unknown.status, unknown.body.as_str()),
        (404, r#"{"detail":"Not found."}"#)
    );
}

#[each_database]
async fn unknown_paths_are_not_found(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for path in [
        "/nothing",
        "/api/v1/",
        "/API/V1/LOGIN/",
        "/api/v1//login/",
        "/login//",
        "/login/x",
        "/login/%00",
    ] {
        let answer = app.get(&app.program(), path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.body.len(), 179, "Django's page: {path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(app.get(&app.program(), path).await.status, 200);
    }
}
