//! HTTP by hand: what no client library would send, on a bare socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use each_database::each_database;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Backend;

/// Longest wait for anything: more is a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Sooner than any of the limits that a server has by default.
const SOON: Duration = Duration::from_secs(8);
/// A request that is always answered.
pub const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub const HOST: &str = "Host: localhost\r\n";
/// What must not be answered where it is part of another request.
const HIDDEN: &str = HEALTH;

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends all, says that there is no more, and reads until the server closes.
pub fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = connect(port);
    // A server that has seen enough may close before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    read_to_close(&mut stream)
}

/// Sends a request on a connection that is kept, and reads its answer.
pub fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    let mut byte = [0];
    while !answer.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        answer.push(char::from(byte[0]));
    }
    let (_, length) = answer.split_once("content-length: ").expect("a length");
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    answer + &String::from_utf8_lossy(&body)
}

/// Reads that a body which was announced with `Expect` may come.
pub fn hear_go_on(stream: &mut TcpStream) {
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
}

pub fn read_to_close(stream: &mut TcpStream) -> String {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if is_pause(&error) => panic!("not closed in {PATIENCE:?}"),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The statuses of all answers. No body of ours contains a status line.
pub fn statuses(answers: &str) -> Vec<u16> {
    answers
        .split("HTTP/1.")
        .skip(1)
        .map(|rest| rest[2..5].parse().expect("a status"))
        .collect()
}

/// Runs what blocks where it may.
pub async fn by_hand<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    actix_web::rt::task::spawn_blocking(work)
        .await
        .expect("no panic")
}

fn login(headers: &str, body: &str) -> String {
    format!("POST /login/ HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n{headers}\r\n{body}")
}

fn chunked(body: &str) -> String {
    login("Transfer-Encoding: chunked\r\n", body)
}

fn get(headers: &str) -> String {
    format!("GET /api/v1/user/ HTTP/1.1\r\n{HOST}{headers}\r\n")
}

/// Sends each case; the server must still be there after it.
async fn expect(app: &TestApp, cases: Vec<(String, &'static [u16])>) {
    let port = app.port;
    by_hand(move || {
        for (request, expected) in cases {
            let start = Instant::now();
            let answers = exchange(port, request.as_bytes());
            let shown: String = request.escape_debug().take(200).collect();
            assert_eq!(statuses(&answers), expected, "{shown}");
            assert!(start.elapsed() < SOON, "{shown}");
            assert_eq!(statuses(&exchange(port, HIDDEN.as_bytes())), [200]);
        }
    })
    .await;
}

#[each_database]
async fn no_request_hides_another(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let mut cases: Vec<(String, &'static [u16])> = vec![
        // Two requests, so that it is seen that two are answered.
        (format!("{HIDDEN}{HIDDEN}"), &[200, 200]),
        (login("Content-Length: 2\r\n", "{}") + HIDDEN, &[400, 200]),
        (chunked("2\r\n{}\r\n0\r\n\r\n") + HIDDEN, &[400, 200]),
    ];
    let end = format!("0\r\n\r\n{HIDDEN}");
    for headers in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "A: b\rTransfer-Encoding: chunked\r\n",
    ] {
        cases.push((login(headers, &end), &[400]));
    }
    let old = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n";
    let old = login(old, &end).replacen("HTTP/1.1", "HTTP/1.0", 1);
    cases.push((old, &[400]));
    for size in [
        "0x2",
        "-1",
        "+2",
        " 2",
        "0_2",
        "",
        "g",
        "2\n",
        "2;a\nb",
        "2\r",
        "ffffffffffffffff",
        "fffffffffffffffff1",
    ] {
        let body = format!("{size}\r\n{{}}\r\n0\r\n\r\n");
        cases.push((chunked(&body) + HIDDEN, &[400]));
    }
    for body in [
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r\n0\n\n",
        "3\r\n{}\r\n0\r\n\r\n",
    ] {
        cases.push((chunked(body) + HIDDEN, &[400]));
    }
    // Chunk extensions and trailers are read over, however long.
    let (long, zeros) = ("a".repeat(100_000), "0".repeat(100_000));
    for body in [
        "2;a=b\r\n{}\r\n0\r\n\r\n",
        "2 \t\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nHost: evil.example\r\n\r\n",
        &format!("2;{long}\r\n{{}}\r\n0\r\n\r\n"),
        &format!("{zeros}2\r\n{{}}\r\n0\r\n\r\n"),
    ] {
        cases.push((chunked(body) + HIDDEN, &[400, 200]));
    }
    // What comes behind a request that could not be read is not looked at.
    cases.push((
        format!("GET / HTTP/1.1\r\n{HOST}no colon\r\n\r\n{HIDDEN}"),
        &[400],
    ));
    cases.push((login("Content-Length: 70000\r\n", HIDDEN), &[413]));
    expect(&app, cases).await;
}

/// The server reads the first part, and what it can answer, before the rest comes.
#[each_database]
async fn requests_that_are_split_lose_no_bytes(backend: Backend) {
    let settings = [
        ("PORTCULLIS_THROTTLE", "off"),
        // Whoever is answered came after all who were there before.
        ("PORTCULLIS_WORKERS", "1"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let (half, rest) = HIDDEN.split_at(20);
    let last = HIDDEN.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let unread = format!("GET /healthz HTTP/1.1\r\n{HOST}");
    let length = HIDDEN.len();
    let cases: Vec<(String, String, &[u16])> = vec![
        (
            format!("{HIDDEN}{half}"),
            format!("{rest}{last}"),
            &[200; 3],
        ),
        (
            format!("{HIDDEN}{HIDDEN}{half}"),
            format!("{rest}{last}"),
            &[200; 4],
        ),
        (
            login("Content-Length: 2\r\n", "{}") + half,
            format!("{rest}{last}"),
            &[400, 200, 200],
        ),
        (
            login("Content-Length: 2\r\n", "{"),
            format!("}}{last}"),
            &[400, 200],
        ),
        (
            chunked("2\r\n{}\r\n0\r\n\r\n") + half,
            format!("{rest}{last}"),
            &[400, 200, 200],
        ),
        // Answered before the body comes, which looks like a request.
        (
            format!("{unread}Transfer-Encoding: chunked\r\n\r\n"),
            format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
            &[200],
        ),
        (
            format!("{unread}Content-Length: {length}\r\n\r\n"),
            HIDDEN.to_owned(),
            &[200],
        ),
    ];
    let port = app.port;
    by_hand(move || {
        for (before, after, expected) in cases {
            let mut stream = connect(port);
            stream.write_all(before.as_bytes()).expect("the first part");
            ask(&mut connect(port), HIDDEN);
            // The server may have closed it.
            let _ = stream.write_all(after.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let answers = read_to_close(&mut stream);
            assert_eq!(statuses(&answers), expected, "{before}: {answers}");
        }
    })
    .await;
}

#[each_database]
async fn odd_requests_are_refused_or_served_in_time(backend: Backend) {
    let settings = [
        ("PORTCULLIS_THROTTLE", "off"),
        ("PORTCULLIS_MAX_HEADERS", "131072"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let many: String = (0..10_000).map(|i| format!("X-{i}: y\r\n")).collect();
    let some: String = (0..80).map(|i| format!("X-{i}: y\r\n")).collect();
    let sized = |kind: &str, body: &str| {
        let length = body.len();
        format!("POST /login/ HTTP/1.1\r\n{HOST}{kind}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let json = "Content-Type: application/json";
    expect(
        &app,
        vec![
            (get(&some), &[401]),
            (get("A: b\0c\r\n"), &[400]),
            (get("A\0: b\r\n"), &[400]),
            (get("A: b\rC: d\r\n"), &[400]),
            (get("A : b\r\n"), &[400]),
            (get("A: b\r\n c\r\n"), &[400]),
            (get(" A: b\r\n"), &[400]),
            (get(": b\r\n"), &[400]),
            (format!("GET /healthz HTTP/1.1\n{HOST}\n"), &[200]),
            (format!("GET /healthz HTTP/1.1\r{HOST}\r\r"), &[400]),
            (
                get(&format!("Accept: {}\r\n", "text/html;a=b,".repeat(7_000))),
                &[401],
            ),
            (
                get(&format!("Accept: {}\r\n", "a/b;".repeat(25_000))),
                &[406],
            ),
            (
                get(&format!("Authorization: Token {}\r\n", "a".repeat(100_000))),
                &[401],
            ),
            (
                get(&format!("Cookie: {}\r\n", "sessionid=a;".repeat(8_000))),
                &[401],
            ),
            ("GET /healthz\r\n\r\n".to_owned(), &[400]),
            (format!("GET /healthz HTTP/1.2\r\n{HOST}\r\n"), &[400]),
            (format!("GET /healthz HTTP/2.0\r\n{HOST}\r\n"), &[400]),
            (
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".to_owned(),
                &[400],
            ),
            (format!("GET /healthz HTTP/1.0\r\n{HOST}\r\n"), &[200]),
            (get("Connection: Upgrade\r\nUpgrade: h2c\r\n"), &[401]),
            (
                sized(&format!("{json}\r\nContent-Encoding: gzip"), "{}"),
                &[415],
            ),
            (
                sized(&format!("{json}\r\nContent-Encoding: identity, gzip"), "{}"),
                &[415],
            ),
            (
                sized("Content-Type: application/json; charset=bz2_codec", "{}"),
                &[400],
            ),
            (
                sized("Content-Type: application/json; charset=utf-7", "{}"),
                &[400],
            ),
            (
                sized(
                    "Content-Type: application/json\r\nContent-Type: text/plain",
                    "{}",
                ),
                &[415],
            ),
            (sized(json, &"[".repeat(60_000)), &[400]),
            (sized(json, &"{\"a\":".repeat(10_000)), &[400]),
            (sized(json, &"[".repeat(100_000)), &[413]),
        ],
    )
    .await;
    // Of these so much is left unread that the answer may be lost with it.
    let port = app.port;
    by_hand(move || {
        for request in [
            get(&many),
            get(&"Accept: text/html\r\n".repeat(10_000)),
            get(&format!("A: {}\r\n", "a".repeat(1_000_000))),
            format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "a".repeat(1_000_000)),
        ] {
            let found = statuses(&exchange(port, request.as_bytes()));
            assert!(
                found.is_empty() || found == [431] || found == [400],
                "{found:?}"
            );
            assert_eq!(statuses(&exchange(port, HIDDEN.as_bytes())), [200]);
        }
    })
    .await;
}

#[each_database]
async fn odd_targets_and_hosts_lead_nowhere(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    let target = |method: &str, target: &str, host: &str| {
        format!("{method} {target} HTTP/1.1\r\n{host}\r\n")
    };
    let user = "/api/v1/user/";
    expect(
        &app,
        vec![
            (target("GET", user, HOST), &[401]),
            (target("GET", user, ""), &[400]),
            (target("GET", user, "Host:\r\n"), &[400]),
            (target("GET", user, "Host: evil.example\r\n"), &[400]),
            (target("GET", user, &HOST.repeat(2)) + HIDDEN, &[400]),
            (
                target("GET", user, "Host: localhost\r\nHost: evil.example\r\n"),
                &[400],
            ),
            (
                target("GET", user, "Host: localhost, evil.example\r\n"),
                &[400],
            ),
            (
                target(
                    "GET",
                    user,
                    "Host: evil.example\r\nX-Forwarded-Host: localhost\r\n",
                ),
                &[400],
            ),
            (target("GET", user, "").replace("1.1", "1.0"), &[400]),
            (target("GET", "http://localhost/api/v1/user/", HOST), &[401]),
            (
                target(
                    "GET",
                    "http://localhost/api/v1/user/",
                    "Host: evil.example\r\n",
                ),
                &[400],
            ),
            (target("GET", "//evil.example/account/", HOST), &[404]),
            (target("GET", "/static/../api/v1/user/", HOST), &[404]),
            (target("GET", "/a b", HOST), &[400]),
            (target("GET", "", HOST), &[400]),
            (target("GET", "/\u{0}", HOST), &[400]),
            (target("OPTIONS", "*", HOST), &[404]),
            (target("CONNECT", "localhost:80", HOST), &[400]),
        ],
    )
    .await;
}

/// A chunk that is none and a body that ends early, each in one segment with
/// the head, so that the handler would be at work when it is found out.
#[each_database]
async fn half_a_logout_is_refused_and_does_nothing(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    for path in ["/logout/", "/api/v1/logout"] {
        for by_token in [true, false] {
            for (header, body) in [
                ("Transfer-Encoding: chunked", "zz\r\nabc\r\n"),
                ("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n"),
                ("Transfer-Encoding: chunked", "5\r\nab"),
                ("Content-Length: 10", "abc"),
            ] {
                let login = app.log_in(&app.program(), "alice", PASSWORD).await;
                let [session, csrf] =
                    ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
                let proof = if by_token {
                    format!("Authorization: Token {}", login.token())
                } else {
                    format!("Cookie: sessionid={session}; csrftoken={csrf}\r\nX-CSRFToken: {csrf}")
                };
                let request =
                    format!("POST {path} HTTP/1.1\r\n{HOST}{proof}\r\n{header}\r\n\r\n{body}");
                let port = app.port;
                let answers = by_hand(move || exchange(port, request.as_bytes())).await;
                // actix-http may add its own 400 for what it could not read.
                assert!(answers.contains("Request body is incomplete."), "{answers}");
                assert_eq!(statuses(&answers)[0], 400);
                assert_eq!(app.user_by_token(&login.token()).await.status, 200);
                assert_eq!(app.user_by_session(&session).await.status, 200);
            }
        }
    }
}

/// Sends the first bytes, then one byte again and again, until the server
/// closes; what it answered, and how long it took.
pub fn dribble(port: u16, first: &str, drop: &str) -> (String, Duration) {
    let mut stream = connect(port);
    stream.write_all(first.as_bytes()).expect("the first bytes");
    // The pace of the dribble, and a look whether it is over.
    let pace = Some(Duration::from_millis(20));
    stream.set_read_timeout(pace).expect("a timeout");
    let (start, mut answer, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
    loop {
        assert!(start.elapsed() < PATIENCE, "{}", first.escape_debug());
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if is_pause(&error) => {}
            Err(_) => break,
        }
        let _ = stream.write_all(drop.as_bytes());
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer, start.elapsed())
}

#[each_database]
async fn a_client_that_dribbles_is_cut_off(backend: Backend) {
    let settings = [
        ("PORTCULLIS_HEADER_TIMEOUT", "1s"),
        ("PORTCULLIS_REQUEST_TIMEOUT", "1s"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    app.create_user("alice", PASSWORD).await;
    let token = app.log_in(&app.program(), "alice", PASSWORD).await.token();
    let authorization = format!("Authorization: Token {token}\r\n");
    let logout =
        |header: &str| format!("POST /logout/ HTTP/1.1\r\n{HOST}{authorization}{header}\r\n");
    let page = format!(
        "POST /login/ HTTP/1.1\r\n{HOST}Accept: text/html\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n"
    );
    let health = |header: &str| format!("GET /healthz HTTP/1.1\r\n{HOST}{header}\r\n");
    let cases: Vec<(String, &str, &[u16])> = vec![
        // A body
        (login("Content-Length: 60000\r\n", ""), "{", &[408]),
        (chunked(""), "1\r\n{\r\n", &[408]),
        (chunked("2;"), "a", &[408]),
        (page, "a", &[408]),
        (logout("Content-Length: 60000\r\n"), "a", &[408]),
        (
            logout("Transfer-Encoding: chunked\r\n"),
            "1\r\na\r\n",
            &[408],
        ),
        // A body that nobody reads
        (
            health("Transfer-Encoding: chunked\r\n"),
            "1\r\na\r\n",
            &[200],
        ),
        (health("Content-Length: 60000\r\n"), "a", &[200]),
        // A connection's first head, and its second
        ("GET /healthz HTTP/1.1\r\nA: ".to_owned(), "a", &[408]),
        (health("") + "GET /healthz HTTP/1.1\r\nA: ", "a", &[200]),
    ];
    let port = app.port;
    let threads: Vec<_> = cases
        .into_iter()
        .map(|(first, drop, expected)| {
            by_hand(move || {
                let (answer, took) = dribble(port, &first, drop);
                let shown = first.escape_debug().to_string();
                assert_eq!(statuses(&answer), expected, "{shown}");
                assert!(took < SOON, "{shown} {took:?}");
            })
        })
        .collect();
    let all = futures_util::future::join_all(threads);
    let others = async { app.user_by_token(&token).await.status };
    let (_, status) = futures_util::future::join(all, others).await;
    assert_eq!(status, 200, "others are served meanwhile");
    let user = app.user_by_token(&token).await;
    assert_eq!(user.status, 200, "half a logout does nothing");
}

#[each_database]
async fn a_client_that_does_not_read_is_cut_off(backend: Backend) {
    let settings = [("PORTCULLIS_REQUEST_TIMEOUT", "1s")];
    let app = TestApp::start_with(&backend, &settings).await;
    let port = app.port;
    by_hand(move || {
        let mut stream = connect(port);
        let pace = Some(Duration::from_millis(50));
        stream.set_write_timeout(pace).expect("a timeout");
        let request = format!("GET /static/portcullis.css HTTP/1.1\r\n{HOST}\r\n");
        let (start, mut was_blocked) = (Instant::now(), false);
        loop {
            assert!(start.elapsed() < PATIENCE, "it is still held");
            match stream.write_all(request.as_bytes()) {
                Ok(()) => {}
                Err(error) if is_pause(&error) => was_blocked = true,
                Err(_) => break,
            }
        }
        assert!(was_blocked, "the answers filled what there is between us");
        assert_eq!(statuses(&exchange(port, HIDDEN.as_bytes())), [200]);
    })
    .await;
}

/// Servers before us may write `-` as `_`, or let the one pass for the other.
#[each_database]
async fn an_underscore_makes_another_header(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_THROTTLE", "off")]).await;
    app.create_user("alice", PASSWORD).await;
    let login = app.log_in(&app.program(), "alice", PASSWORD).await;
    let [session, csrf] = ["sessionid", "csrftoken"].map(|name| login.cookie(name).unwrap());
    let logout = |name: &str| {
        format!(
            "POST /logout/ HTTP/1.1\r\n{HOST}Cookie: sessionid={session}; csrftoken={csrf}\r\n\
             {name}: {csrf}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    expect(
        &app,
        vec![
            (logout("X_CSRFToken"), &[403]),
            (logout("HTTP_X_CSRFTOKEN"), &[403]),
            // No length, so no body: the two bytes are a request that is none.
            (self::login("Content_Length: 2\r\n", "{}"), &[400, 400]),
            (
                "GET /login/ HTTP/1.1\r\nHost_: localhost\r\n\r\n".to_owned(),
                &[400],
            ),
            (logout("X-CSRFToken"), &[200]),
        ],
    )
    .await;
}
