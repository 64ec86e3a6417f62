//! Bodies that are not what they should be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use each_database::each_database;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;

async fn post(app: &TestApp, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app
        .program()
        .post(format!("{}/login/", app.url))
        .header("Content-Type", kind)
        .body(body);
    Answer::of(request).await
}

#[each_database]
async fn malformed_json_is_a_400(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let deep = "[".repeat(60_000);
    let nested = r#"{"a":"#.repeat(10_000);
    for body in [
        "{",
        "{'a':1}",
        "hello",
        "{\"username\": }",
        "[1,]",
        "NaN",
        "\u{feff}{}",
        &deep,
        &nested,
        "[]",
        "null",
        "1",
        "true",
        "\"text\"",
        "{} {}",
        "   ",
        r#"{"username":"\ud800","password":"x"}"#,
        "{\"username\":\"a\nb\"}",
    ] {
        let answer = post(&app, "application/json", body.to_owned()).await;
        assert_eq!(answer.status, 400, "{}", &body[..body.len().min(40)]);
        let detail = answer.json()["detail"]
            .as_str()
            .expect("a detail")
            .to_owned();
        assert!(detail.starts_with("JSON parse error - "), "{detail}");
    }
    let answer = post(
        &app,
        "application/json",
        b"{\"username\":\"\xff\"}".to_vec(),
    )
    .await;
    assert_eq!(answer.status, 400);
    let nul = r#"{"username":"a\u0000","password":"b"}"#;
    assert_eq!(post(&app, "application/json", nul).await.status, 400);
}

#[each_database]
async fn other_media_types_are_a_415(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let long = format!("application/json; a={}", "b".repeat(300));
    for kind in [
        "text/plain",
        "application/xml",
        "text/json",
        "json",
        "application/jsonx",
        &long,
    ] {
        let answer = post(&app, kind, "{}").await;
        assert_eq!(answer.status, 415, "{kind}");
        let detail = format!("Unsupported media type \"{kind}\" in request.");
        assert_eq!(answer.json()["detail"], detail);
    }
    let request = app.program().post(format!("{}/login/", app.url)).body("{}");
    assert_eq!(Answer::of(request).await.status, 415, "no type at all");
    let empty = post(&app, "text/plain", "").await;
    assert_eq!(
        empty.body, r#"{"error":"Invalid credentials"}"#,
        "nothing to parse"
    );
}

#[each_database]
async fn charsets_are_read(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.create_user("josé", PASSWORD).await;
    let text = format!(r#"{{"username":"josé","password":"{PASSWORD}"}}"#);
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    for (kind, body) in [
        ("application/json; charset=utf-16", utf16),
        ("application/json; charset=latin-1", latin1),
        ("application/json;charset=utf-8", text.clone().into_bytes()),
        ("APPLICATION/JSON; charset=bogus", text.clone().into_bytes()),
        ("*/*", text.clone().into_bytes()),
    ] {
        assert_eq!(post(&app, kind, body).await.status, 200, "{kind}");
    }
    let answer = post(&app, "application/json; charset=bz2_codec", text).await;
    assert_eq!(
        answer.json()["detail"],
        "Unsupported charset \"bz2_codec\" in request Content-Type header."
    );
}

/// Sends the start of a request and reads the start of its answer.
async fn exchange(port: u16, head: &str, body: Vec<u8>) -> String {
    let head = format!(
        "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n"
    );
    let work = move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("a head");
        // The server may close before it has read all.
        let _ = stream.write_all(&body);
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    actix_web::rt::task::spawn_blocking(work)
        .await
        .expect("an exchange")
}

#[each_database]
async fn a_body_over_the_cap_is_refused_before_it_has_come(backend: Backend) {
    let default: &[(&str, &str)] = &[];
    for (settings, cap) in [(default, 65536), (&[("PORTCULLIS_MAX_BODY", "2048")], 2048)] {
        let app = TestApp::start_with(&backend, settings).await;
        let length = format!("Content-Length: {}\r\n", cap + 1);
        let stated = exchange(app.port, &length, b"{".to_vec()).await;
        assert!(stated.starts_with("HTTP/1.1 413"), "{stated}");

        // A chunk of 128 KiB, of which only a part is ever sent.
        let chunk = [b"20000\r\n".as_slice(), &vec![b' '; cap + 1]].concat();
        let chunked = exchange(app.port, "Transfer-Encoding: chunked\r\n", chunk).await;
        assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");

        let most = format!("{{\"a\":\"{}\"}}", "x".repeat(cap - 8));
        assert_eq!(
            post(&app, "application/json", most).await.status,
            400,
            "the cap itself is read"
        );
    }
}

#[each_database]
async fn odd_forms_are_a_bad_login(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    let form = "application/x-www-form-urlencoded";
    let bad = r#"{"error":"Invalid credentials"}"#;
    for body in [
        "username=%zz&password=%ff",
        "\u{fffd}=",
        "{\"username\":1}",
        "&&&=",
    ] {
        assert_eq!(post(&app, form, body).await.body, bad, "{body}");
    }
    let many = "a=1&".repeat(1001);
    assert_eq!(post(&app, form, many).await.status, 400);
    let multipart = "multipart/form-data; boundary=x";
    for body in [
        "",
        "--y\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nalice",
        // A file whose NAME is the user's is no username.
        "--x\r\nContent-Disposition: form-data; name=\"username\"; filename=\"alice\"\r\n\r\nalice\r\n--x--\r\n",
    ] {
        assert_eq!(post(&app, multipart, body).await.body, bad, "{body}");
    }
    let unbounded = post(&app, "multipart/form-data", "--x\r\n").await;
    assert_eq!(
        unbounded.json()["detail"],
        "Multipart form parse error - Invalid boundary in multipart: None"
    );
}

/// Raw bytes for every part of a request, over real HTTP.
#[each_database]
async fn nothing_that_a_client_sends_is_a_500(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let session = login.cookie("sessionid").unwrap();
    let paths = [
        "/login/",
        "/api/v1/login/",
        "/logout/",
        "/api/v1/user/",
        "/api-token-auth/",
        "/account/",
        "/",
        "/%ff",
    ];
    let kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "*/*; charset=utf-16",
    ];
    let value = "[\\x20-\\x7e\u{80}-\u{ff}]{0,40}";
    let strategy = (
        prop::sample::select(paths.to_vec()),
        prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS", "PUT", "X"]),
        prop::sample::select(kinds.to_vec()),
        value,
        prop_oneof![
            value.prop_map(|v: String| v),
            Just(format!("sessionid={session}"))
        ],
        value,
        prop::collection::vec(any::<u8>(), 0..200),
    );
    let port = app.port;
    let work = move || {
        let mut runner = TestRunner::new(Config {
            cases: 300,
            failure_persistence: None,
            ..Config::default()
        });
        runner
            .run(&strategy, |(path, method, kind, header, cookie, accept, body)| {
                let mut request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
                     Content-Length: {}\r\n",
                    body.len()
                )
                .into_bytes();
                for (name, value) in [("Authorization", &header), ("Cookie", &cookie), ("Accept", &accept), ("Origin", &header), ("X-CSRFToken", &header)] {
                    if !value.is_empty() {
                        request.extend(format!("{name}: ").bytes());
                        request.extend(value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')));
                        request.extend(b"\r\n");
                    }
                }
                request.extend(b"\r\n");
                request.extend(&body);
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
                stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
                stream.write_all(&request).expect("a request");
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).expect("an answer");
                let status = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned();
                prop_assert!(status.starts_with(['2', '3', '4']), "{} {}", status, String::from_utf8_lossy(&request));
                Ok(())
            })
            .unwrap();
    };
    actix_web::rt::task::spawn_blocking(work)
        .await
        .expect("no failure");
}
