//! More of everything than there is room for: it is refused clearly and at
//! once, or waits, and others are served meanwhile. Slow bodies, and clients
//! that do not read, are in `wire`.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use each_database::each_database;
use portcullis::auth::users::Profile;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{Serving, program};
use crate::wire::{
    HEALTH, HOST, PATIENCE, by_hand, connect, dribble, exchange, read_to_close, statuses,
};

const LOGINS: usize = 64;
/// Half of the five places, since all come from one address: one is hashed, two wait.
const ROOM: usize = 3;
/// Time enough for an answer that does not wait for anything.
const MOMENT: Duration = Duration::from_millis(300);
/// The promise of the issue.
const AT_ONCE: Duration = Duration::from_millis(50);
/// On a busy machine a thread of the test itself may come late; an answer that
/// waits for something comes late every time.
const STORMS: usize = 20;

#[each_database]
async fn a_storm_of_logins_is_answered_or_refused_at_once(backend: Backend) {
    let settings = [
        ("PORTCULLIS_HASH_THREADS", "1"),
        ("PORTCULLIS_HASH_QUEUE", "4"),
        ("PORTCULLIS_PASSWORD_COST", "11"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    create_users(&app).await;
    let login = app.log_in(&app.program(), "user0", PASSWORD).await;
    let check = format!(
        "GET /api/v1/user/ HTTP/1.1\r\n{HOST}Authorization: Token {}\r\n\r\n",
        login.token()
    );
    let port = app.port;
    let storms = by_hand(move || {
        let mut storms = Vec::new();
        while storms.len() < STORMS {
            let storm = Storm::raise(port, &check);
            storm.assert_answered();
            let is_at_once = storm.slowest(503) < AT_ONCE;
            storms.push(storm);
            if is_at_once {
                break;
            }
        }
        storms
    })
    .await;

    let last = storms.last().expect("a storm");
    println!(
        "{}: {} of {LOGINS} logins in, the quickest after {:.0?}; the others refused, the slowest \
         after {:.1?}; {} checks meanwhile, the slowest {:.1?}; storm {} of {STORMS} at most",
        backend.name(),
        last.count(200),
        last.quickest(200),
        last.slowest(503),
        last.checks.len(),
        last.checks.iter().max().expect("a check"),
        storms.len(),
    );
    assert!(last.slowest(503) < AT_ONCE, "{:?}", last.slowest(503));
}

/// With one hash, since to make one takes as long as to check it.
async fn create_users(app: &TestApp) {
    let hash = app.auth.passwords.hash(PASSWORD.to_owned()).await;
    let hash = hash.expect("a hash");
    for number in 0..LOGINS {
        let profile = Profile {
            username: format!("user{number}"),
            email: format!("user{number}@example.com"),
            ..Default::default()
        };
        assert!(app.auth.users.create(profile, hash.clone()).await.unwrap());
    }
}

/// What came of many logins at once, and of checks while they went on.
struct Storm {
    logins: Vec<(u16, String, Duration)>,
    checks: Vec<Duration>,
}

impl Storm {
    fn raise(port: u16, check: &str) -> Self {
        let (begin, is_over) = (Barrier::new(LOGINS), AtomicBool::new(false));
        thread::scope(|scope| {
            let checks = scope.spawn(|| check_until(port, check, &is_over));
            let logins: Vec<_> = (0..LOGINS)
                .map(|number| {
                    // A thread that panics before the barrier would hold up all.
                    let (begin, stream) = (&begin, connect(port));
                    scope.spawn(move || log_in(stream, number, begin))
                })
                .collect();
            let logins = logins.into_iter().map(|login| login.join());
            let logins = logins.collect::<Result<_, _>>();
            is_over.store(true, Ordering::Relaxed);
            let logins = logins.expect("no panic");
            let checks = checks.join().expect("no panic");
            Self { logins, checks }
        })
    }

    fn assert_answered(&self) {
        for (status, answer, _) in &self.logins {
            let is_told_when = answer.contains("retry-after: 1\r\n");
            assert!(
                matches!((status, is_told_when), (200, false) | (503, true)),
                "{answer}"
            );
        }
        assert!(self.count(200) >= ROOM, "{} are in", self.count(200));
        assert!(self.count(503) > 0, "there was room for all");
        assert!(!self.checks.is_empty());
    }

    fn times(&self, wanted: u16) -> impl Iterator<Item = Duration> {
        let of_status = self
            .logins
            .iter()
            .filter(move |(status, ..)| *status == wanted);
        of_status.map(|(_, _, took)| *took)
    }

    fn count(&self, status: u16) -> usize {
        self.times(status).count()
    }

    fn slowest(&self, status: u16) -> Duration {
        self.times(status).max().expect("an answer")
    }

    fn quickest(&self, status: u16) -> Duration {
        self.times(status).min().expect("an answer")
    }
}

/// The connection is there before the watch starts.
fn log_in(mut stream: TcpStream, number: usize, begin: &Barrier) -> (u16, String, Duration) {
    let body = format!(r#"{{"username":"user{number}","password":"{PASSWORD}"}}"#);
    let request = format!(
        "POST /api/v1/login/ HTTP/1.1\r\n{HOST}Content-Type: application/json\r\nContent-Length: \
         {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    begin.wait();
    let start = Instant::now();
    stream.write_all(request.as_bytes()).expect("a request");
    let mut first = [0];
    stream.read_exact(&mut first).expect("an answer");
    let took = start.elapsed();
    let answer = format!("H{}", read_to_close(&mut stream));
    (statuses(&answer)[0], answer, took)
}

fn check_until(port: u16, request: &str, is_over: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = exchange(port, request.as_bytes());
        assert_eq!(statuses(&answer), [200], "{answer}");
        times.push(start.elapsed());
    }
    times
}

/// Sends a request and tells whether an answer begins by then.
fn is_answered(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.write_all(HEALTH.as_bytes()).expect("a request");
    begins(stream, patience)
}

fn begins(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    match stream.read(&mut [0; 4096]) {
        Ok(length) => length > 0,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("{error}"),
    }
}

#[each_database]
async fn connections_over_the_limit_wait_for_their_turn(backend: Backend) {
    let settings = [
        ("PORTCULLIS_WORKERS", "2"),
        ("PORTCULLIS_MAX_CONNECTIONS", "5"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let port = app.port;
    by_hand(move || {
        // Two for each worker; the fifth has none to go to.
        let mut held: Vec<_> = (0..4).map(|_| connect(port)).collect();
        for stream in &mut held {
            assert!(is_answered(stream, PATIENCE), "it has a place");
        }
        let mut waiting = connect(port);
        assert!(!is_answered(&mut waiting, MOMENT), "it has none");
        assert!(is_answered(&mut held[0], PATIENCE), "who has one is served");

        drop(held.pop());
        assert!(begins(&mut waiting, PATIENCE));
    })
    .await;
}

/// Under a shell's limit, which may be raised.
#[test]
fn there_is_a_file_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = program(folder.path());
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -Sn 64; exec \"$@\"", "sh"])
        .arg(server.get_program())
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let serving = Serving::start(&mut limited, "createsuperuser");

    let mut held: Vec<_> = (0..100).map(|_| connect(serving.port)).collect();
    for stream in &mut held {
        stream.write_all(HEALTH.as_bytes()).expect("a request");
        assert!(begins(stream, PATIENCE), "it is accepted");
    }
    let ready = HEALTH.replace("healthz", "readyz");
    assert_eq!(statuses(&exchange(serving.port, ready.as_bytes())), [200]);
}

#[each_database]
async fn slow_heads_do_not_hold_all_connections(backend: Backend) {
    let settings = [
        ("PORTCULLIS_WORKERS", "1"),
        ("PORTCULLIS_MAX_CONNECTIONS", "3"),
        ("PORTCULLIS_HEADER_TIMEOUT", "1s"),
    ];
    let app = TestApp::start_with(&backend, &settings).await;
    let port = app.port;
    by_hand(move || {
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(move || {
                    let (answer, _) = dribble(port, "GET /healthz HTTP/1.1\r\nA: ", "a");
                    assert_eq!(statuses(&answer), [408]);
                });
            }
            for _ in 0..3 {
                assert_eq!(statuses(&exchange(port, HEALTH.as_bytes())), [200]);
            }
        });
    })
    .await;
}

#[each_database]
async fn an_idle_connection_is_closed(backend: Backend) {
    let app = TestApp::start_with(&backend, &[("PORTCULLIS_KEEP_ALIVE", "1s")]).await;
    let port = app.port;
    by_hand(move || {
        let mut stream = connect(port);
        let start = Instant::now();
        stream.write_all(HEALTH.as_bytes()).expect("a request");
        assert_eq!(statuses(&read_to_close(&mut stream)), [200]);
        let kept = start.elapsed();
        // By default it is kept for much longer.
        assert!((900..15_000).contains(&kept.as_millis()), "{kept:?}");
    })
    .await;
}

#[each_database]
async fn headers_over_the_cap_are_a_431(backend: Backend) {
    let default: &[(&str, &str)] = &[];
    for (settings, cap) in [
        (default, 32768),
        (&[("PORTCULLIS_MAX_HEADERS", "1024")], 1024),
    ] {
        let app = TestApp::start_with(&backend, settings).await;
        // Each as long as the cap, with `accept`, and one byte over it.
        for over in [0, 1] {
            let long = |others: usize| "x".repeat(cap - others + over);
            let host = "host: localhost\r\n";
            let in_a_path = format!("GET /{} HTTP/1.1\r\n{host}\r\n", long(1 + host.len()));
            let fixed = "/api/v1/user/".len() + host.len() + "a: \r\n".len();
            let in_a_header = format!(
                "GET /api/v1/user/ HTTP/1.1\r\n{host}a: {}\r\n\r\n",
                long(fixed)
            );
            let fixed = fixed + "accept: text/html\r\n".len();
            let on_a_page = format!(
                "GET /api/v1/user/ HTTP/1.1\r\n{host}accept: text/html\r\na: {}\r\n\r\n",
                long(fixed)
            );
            let (port, requests) = (app.port, [in_a_path, in_a_header, on_a_page]);
            let answers =
                by_hand(move || requests.map(|text| exchange(port, text.as_bytes()))).await;
            let found = answers.each_ref().map(|answer| statuses(answer)[0]);
            let expected = if over == 0 { [404, 401, 401] } else { [431; 3] };
            assert_eq!(found, expected, "{cap}");
            assert_eq!(
                answers[2].contains("<!doctype html>"),
                over == 1,
                "{}",
                answers[2]
            );
        }
        assert_eq!(app.get(&app.program(), "/healthz").await.status, 200);
    }
}
