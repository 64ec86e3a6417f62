//! How the server stops: who is told, what is finished, and what is cut off.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use each_database::each_database;
use serde_json::json;

use crate::support::app::PASSWORD;
use crate::support::database::Backend;
use crate::support::program::{Serving, program, program_on, run};
use crate::wire::{HEALTH, PATIENCE, ask, connect, exchange, hear_go_on, read_to_close, statuses};

/// Far more than a test takes.
const LONG: &str = "1000s";
const SOON: Duration = Duration::from_secs(10);
const ENDLESS: &str = "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
                       application/json\r\nContent-Length: 100\r\n\r\n{";

/// With one worker, which answers connections in the order of their arrival.
fn serve(delay: &str, timeout: &str) -> (Serving, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program(folder.path());
    serve
        .args(["--bind", "127.0.0.1:0", "--workers", "1"])
        .args(["--request-timeout", LONG])
        .args(["--shutdown-delay", delay, "--shutdown-timeout", timeout]);
    (Serving::start(&mut serve, "createsuperuser"), folder)
}

fn is_told_to_close(answer: &str) -> bool {
    answer.contains("connection: close\r\n")
}

/// Waits until nobody new is let in.
fn wait_until_it_listens_no_more(serving: &Serving) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", serving.port)).is_ok() {
        assert!(Instant::now() < end, "it still listens");
        std::thread::yield_now();
    }
}

/// Asks until it says that it is stopping.
fn wait_until_not_ready(serving: &Serving) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = exchange(serving.port, HEALTH.replace("health", "ready").as_bytes());
        if statuses(&answer) == [503] {
            return answer;
        }
        assert_eq!(statuses(&answer), [200]);
        assert!(Instant::now() < end, "it is still ready");
    }
}

/// It must end by itself in a time that is none of the limits.
fn assert_ends_soon(mut serving: Serving) {
    let start = Instant::now();
    assert_eq!(serving.exit_code(), Some(0));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn readiness_ends_first_and_all_else_goes_on() {
    let (serving, _folder) = serve(LONG, LONG);
    let mut kept = connect(serving.port);
    assert!(!is_told_to_close(&ask(&mut kept, HEALTH)));

    serving.signal("TERM");

    let not_ready = wait_until_not_ready(&serving);
    assert!(not_ready.contains("retry-after: 1\r\n"), "{not_ready}");
    assert!(not_ready.ends_with("\r\n\r\nstopping\n"), "{not_ready}");
    let last = ask(&mut kept, HEALTH);
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
    assert!(is_told_to_close(&last), "{last}");
    assert_eq!(read_to_close(&mut kept), "", "it is closed by us, too");
    // A new connection, to all layers.
    let login = "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let refused = exchange(serving.port, login.as_bytes());
    assert_eq!(statuses(&refused), [400], "{refused}");
    assert!(is_told_to_close(&refused), "{refused}");
}

#[test]
fn ctrl_c_does_not_wait() {
    let (serving, _folder) = serve(LONG, LONG);
    serving.signal("INT");
    assert_ends_soon(serving);
}

#[test]
fn idle_connections_do_not_hold_up_a_stop() {
    let (serving, _folder) = serve("0s", LONG);
    let silent = connect(serving.port);
    let mut kept = connect(serving.port);
    ask(&mut kept, HEALTH);

    serving.signal("TERM");

    assert_ends_soon(serving);
    for mut idle in [silent, kept] {
        assert_eq!(read_to_close(&mut idle), "");
    }
}

/// Its first bytes were here before the stop, and no handler has heard of it.
#[test]
fn half_a_request_is_answered() {
    let (serving, _folder) = serve("0s", LONG);
    let (start, rest) = HEALTH.split_at(20);
    let mut first = connect(serving.port);
    let mut second = connect(serving.port);
    ask(&mut second, HEALTH);
    for stream in [&mut first, &mut second] {
        stream.write_all(start.as_bytes()).unwrap();
    }
    // Somebody who came later was answered, so they have been heard.
    ask(&mut connect(serving.port), HEALTH);

    serving.signal("TERM");
    wait_until_it_listens_no_more(&serving);

    for stream in [&mut first, &mut second] {
        let answer = ask(stream, rest);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(is_told_to_close(&answer), "{answer}");
        assert_eq!(read_to_close(stream), "");
    }
    assert_ends_soon(serving);
}

#[each_database]
async fn a_request_in_flight_is_finished_after_a_signal(backend: Backend) {
    // All of the body is still to come, or a part of it.
    for (signal, sent) in [("TERM", 0), ("INT", 10)] {
        let (database, folder) = (backend.create(), tempfile::tempdir().unwrap());
        let on = || program_on(&database, folder.path());
        run(on()
            .args(["createuser", "--no-input", "--username", "alice"])
            .args(["--email", "alice@example.org"])
            .env("PORTCULLIS_USER_PASSWORD", PASSWORD))
        .ok();
        let mut serve = on();
        serve.args(["--bind", "127.0.0.1:0", "--shutdown-delay", "0s"]);
        let serving = Serving::start(&mut serve, "users");
        let body = json!({"username": "alice", "password": PASSWORD}).to_string();
        let (start, rest) = body.split_at(sent);
        let mut stream = connect(serving.port);
        let head = format!(
            "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The server says so when it has begun to answer this request.
        hear_go_on(&mut stream);
        stream.write_all(start.as_bytes()).unwrap();

        serving.signal(signal);
        wait_until_it_listens_no_more(&serving);
        stream.write_all(rest.as_bytes()).unwrap();

        let answer = read_to_close(&mut stream);
        assert_eq!(statuses(&answer), [200], "{signal}: {answer}");
        assert_ends_soon(serving);
    }
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let (serving, _folder) = serve("0s", "1s");
    let mut endless = connect(serving.port);
    endless.write_all(ENDLESS.as_bytes()).unwrap();
    ask(&mut connect(serving.port), HEALTH);

    serving.signal("TERM");

    assert_ends_soon(serving);
    assert_eq!(read_to_close(&mut endless), "");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (delay, second) in [(LONG, "INT"), (LONG, "TERM"), ("0s", "INT"), ("0s", "TERM")] {
        let (serving, _folder) = serve(delay, LONG);
        let mut endless = connect(serving.port);
        endless.write_all(ENDLESS.as_bytes()).unwrap();
        ask(&mut connect(serving.port), HEALTH);

        serving.signal("TERM");
        match delay {
            LONG => drop(wait_until_not_ready(&serving)),
            _ => wait_until_it_listens_no_more(&serving),
        }
        serving.signal(second);

        assert_ends_soon(serving);
    }
}
