//! Connections on which nothing is asked for a while: they wait without buffers,
//! and nobody notices.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::app::PASSWORD;
use crate::support::program::{Serving, program, run};
use crate::support::registry::{PlainTest, once};
use crate::wire::{HEALTH, PATIENCE, ask, connect, hear_go_on, read_to_close, statuses};

pub const PLAIN: &[PlainTest] = once![
    they_go_on_where_they_were,
    halves_of_requests_are_kept,
    what_is_in_a_body_is_never_a_request,
    answers_that_take_their_time_are_given,
    halves_of_requests_are_not_kept_for_ever,
    a_stop_does_not_wait_for_them,
    they_give_their_memory_back,
];

/// A connection gives its buffers back after two seconds at the latest.
const SILENCE: Duration = Duration::from_secs(3);

fn serve(options: &[&str]) -> (Serving, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    run(program(folder.path())
        .args(["createuser", "--no-input", "--username", "alice"])
        .args(["--email", "alice@example.org"])
        .env("PORTCULLIS_USER_PASSWORD", PASSWORD))
    .ok();
    let mut serve = program(folder.path());
    serve.args(["--bind", "127.0.0.1:0"]).args(options);
    (Serving::start(&mut serve, "users"), folder)
}

/// Nobody says anything: that is what is tested.
fn stay_silent() {
    thread::sleep(SILENCE);
}

fn they_go_on_where_they_were() {
    let (serving, _folder) = serve(&[]);
    let (head, body) = login();
    let mut stream = connect(serving.port);
    ask(&mut stream, HEALTH);

    stay_silent();
    // In pieces, as many clients send it.
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let (start, rest) = body.split_at(9);
    stream.write_all(start.as_bytes()).unwrap();
    let answer = ask(&mut stream, rest);
    assert_eq!(statuses(&answer), [200], "{answer}");
    let (_, token) = answer.split_once(r#""token":""#).expect("a token");
    let check = format!(
        "GET /api/v1/user/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {}\r\n\r\n",
        &token[..40]
    );

    for _ in 0..2 {
        stay_silent();
        for _ in 0..3 {
            let answer = ask(&mut stream, &check);
            assert_eq!(statuses(&answer), [200], "{answer}");
        }
    }
}

/// The server has read them, and waits for the rest.
fn halves_of_requests_are_kept() {
    let (serving, _folder) = serve(&[]);
    let (half, rest) = HEALTH.split_at(20);
    let head = "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let ends = "Connection: close\r\n\r\n";
    let last = HEALTH.replace("\r\n\r\n", &format!("\r\n{ends}"));
    // What comes before the silence, what after it, and what the answers are.
    let cases = [
        (
            format!("{HEALTH}{half}"),
            format!("{rest}{last}"),
            vec![200; 3],
        ),
        (
            format!("{HEALTH}{HEALTH}{half}"),
            format!("{rest}{last}"),
            vec![200; 4],
        ),
        (
            format!("{head}Content-Length: 2\r\n\r\n{{}}{half}"),
            format!("{rest}{last}"),
            vec![400, 200, 200],
        ),
        (
            format!("{head}Content-Length: 2\r\n\r\n{{"),
            format!("}}{last}"),
            vec![400, 200],
        ),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{half}"),
            format!("{rest}{last}"),
            vec![400, 200, 200],
        ),
    ];
    let mut streams: Vec<TcpStream> = cases.iter().map(|_| connect(serving.port)).collect();
    for (stream, (before, ..)) in streams.iter_mut().zip(&cases) {
        stream.write_all(before.as_bytes()).unwrap();
    }

    stay_silent();
    for (mut stream, (before, after, expected)) in streams.into_iter().zip(&cases) {
        stream.write_all(after.as_bytes()).unwrap();
        let answers = read_to_close(&mut stream);
        assert_eq!(&statuses(&answers), expected, "{before}: {answers}");
    }
}

/// `/healthz` is answered before its body has come, and the rest of it looks like
/// a request.
fn what_is_in_a_body_is_never_a_request() {
    let (serving, _folder) = serve(&[]);
    let inner = HEALTH.replace("healthz", "smuggled");
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let cases = [
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
            format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
        ),
        (
            format!("{head}Content-Length: {}\r\n\r\n", inner.len()),
            inner.clone(),
        ),
    ];
    let mut streams: Vec<TcpStream> = cases.iter().map(|_| connect(serving.port)).collect();
    for (stream, (before, _)) in streams.iter_mut().zip(&cases) {
        stream.write_all(before.as_bytes()).unwrap();
    }

    stay_silent();
    for (mut stream, (before, after)) in streams.into_iter().zip(&cases) {
        // The server may have closed it.
        let _ = stream.write_all(after.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answers = read_to_close(&mut stream);
        assert_eq!(statuses(&answers), [200], "{before}: {answers}");
    }
}

/// Two requests on one connection, of which the second is sent while the first is
/// at work, and takes longer than a connection may be quiet.
fn answers_that_take_their_time_are_given() {
    const OTHERS: usize = 20;
    let (serving, _folder) = serve(&["--workers", "1", "--hash-threads", "1", "--throttle", "off"]);
    let mut stream = connect(serving.port);
    begin_login(&mut stream);
    let mut others: Vec<TcpStream> = (0..OTHERS).map(|_| connect(serving.port)).collect();
    others.iter_mut().for_each(begin_login);
    let (head, body) = login();
    let second = format!("{head}Connection: close\r\n\r\n{body}");
    stream.write_all(second.as_bytes()).unwrap();

    let start = Instant::now();
    let answers = read_to_close(&mut stream);
    assert_eq!(statuses(&answers), [200, 200], "{answers}");
    assert!(start.elapsed() > SILENCE, "{:?}", start.elapsed());
}

/// The headers of a login but for the last line, and its body.
fn login() -> (String, String) {
    let body = format!(r#"{{"username":"alice","password":"{PASSWORD}"}}"#);
    let head = format!(
        "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    (head, body)
}

/// Sends one, of which the server has heard when this returns.
fn begin_login(stream: &mut TcpStream) {
    let (head, body) = login();
    let head = format!("{head}Expect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    hear_go_on(stream);
    stream.write_all(body.as_bytes()).unwrap();
}

fn halves_of_requests_are_not_kept_for_ever() {
    let (serving, _folder) = serve(&["--keep-alive", "1s"]);
    let (half, _) = HEALTH.split_at(20);
    let mut stream = connect(serving.port);
    stream
        .write_all(format!("{HEALTH}{half}").as_bytes())
        .unwrap();
    assert_eq!(statuses(&read_to_close(&mut stream)), [200]);
}

fn a_stop_does_not_wait_for_them() {
    let (mut serving, _folder) = serve(&["--shutdown-delay", "0s", "--shutdown-timeout", "1000s"]);
    let mut stream = connect(serving.port);
    ask(&mut stream, HEALTH);

    stay_silent();
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(read_to_close(&mut stream), "");
}

/// Only glibc has to be told to.
fn they_give_their_memory_back() {
    const MANY: usize = 400;
    let (serving, _folder) = serve(&["--max-connections", "1000", "--workers", "2"]);
    let private = || {
        let path = format!("/proc/{}/smaps_rollup", serving.process.id());
        let text = fs::read_to_string(path).expect("a process");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"));
        let number = line.expect("a line").trim().trim_end_matches(" kB");
        number.parse::<usize>().expect("a number")
    };
    // Nearly as much as a buffer holds.
    let request = HEALTH.replace("\r\n\r\n", &format!("\r\nA: {}\r\n\r\n", "x".repeat(7000)));
    ask(&mut connect(serving.port), &request);
    let before = private();
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| connect(serving.port)).collect();
    // All before anybody is quiet, and gives buffers to the next.
    for stream in &mut streams {
        ask(stream, &request);
    }
    let grown = private() - before;
    assert!(grown > 8 * MANY, "{grown} kB for {MANY} connections");

    let start = Instant::now();
    while private() > before + grown / 2 {
        assert!(start.elapsed() < PATIENCE, "{} kB stay", private() - before);
        thread::sleep(Duration::from_millis(50));
    }
    for stream in &mut streams {
        assert_eq!(statuses(&ask(stream, HEALTH)), [200]);
    }
}
