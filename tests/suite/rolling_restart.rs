//! Two instances on one database behind a proxy that honours `/readyz`: each is
//! restarted in turn, under load, and no request fails.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{Serving, program_on};
use crate::support::registry::{DatabaseTest, on_each_database};
use crate::support::secrets;
use crate::wire::{PATIENCE, by_hand};

pub const TESTS: &[DatabaseTest] = on_each_database![no_request_fails_while_two_are_restarted];

const RESTARTS_OF_EACH: usize = 3;
const CLIENTS: usize = 8;
/// How often the proxy asks, as it is in the issue.
const INTERVAL: Duration = Duration::from_millis(50);

async fn no_request_fails_while_two_are_restarted(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for client in 0..CLIENTS {
        app.create_user(&format!("user{client}"), PASSWORD).await;
    }
    let report = by_hand({
        let start = starter(&app.database);
        move || restart_under_load(start)
    })
    .await;

    println!(
        "{}: {} restarts, {} requests, {} failed",
        backend.name(),
        2 * RESTARTS_OF_EACH,
        report.requests,
        report.failures.len(),
    );
    assert_eq!(report.failures, [""; 0]);
    let least = CLIENTS * RESTARTS_OF_EACH * 10;
    assert!(report.requests > least, "{} requests", report.requests);
}

/// What starts an instance, on another port each time.
fn starter(database: &TestDatabase) -> impl Fn() -> Serving + Send + 'static {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program_on(database, folder.path());
    serve.args(["--bind", "127.0.0.1:0", "--shutdown-delay", "1s"]);
    let serve = Mutex::new((serve, folder));
    move || Serving::start(&mut lock(&serve).0, "users")
}

struct Report {
    requests: usize,
    failures: Vec<String>,
}

fn restart_under_load(start: impl Fn() -> Serving) -> Report {
    let mut servers = [start(), start()];
    let proxy = Proxy::new([servers[0].port, servers[1].port]);
    let (is_over, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let over = OnDrop(&is_over);
        for instance in &proxy.instances {
            scope.spawn(|| instance.watch(&is_over));
        }
        for client in 0..CLIENTS {
            let (proxy, is_over, requests, failures) = (&proxy, &is_over, &requests, &failures);
            scope.spawn(move || {
                let user = User::new(proxy, client, requests);
                while !is_over.load(Ordering::Relaxed) {
                    if let Err(failure) = user.come_and_go() {
                        lock(failures).push(failure);
                    }
                }
            });
        }
        for _ in 0..RESTARTS_OF_EACH {
            for (server, instance) in servers.iter_mut().zip(&proxy.instances) {
                server.signal("TERM");
                assert_eq!(server.exit_code(), Some(0));
                *server = start();
                instance.port.store(server.port, Ordering::Relaxed);
                instance.wait_until_ready();
            }
        }
        drop(over);
    });
    Report {
        requests: requests.into_inner(),
        failures: failures.into_inner().expect("no panic"),
    }
}

/// Ends the load, also when something else fails.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends each request to the next instance that is ready, once: what fails has
/// failed.
struct Proxy {
    instances: [Instance; 2],
    turn: AtomicUsize,
}

struct Instance {
    port: AtomicU16,
    is_ready: AtomicBool,
    /// Connections to it on which nothing is asked just now.
    kept: Mutex<Vec<TcpStream>>,
}

struct Answer {
    status: u16,
    text: String,
}

impl Proxy {
    fn new(ports: [u16; 2]) -> Self {
        Self {
            instances: ports.map(|port| Instance {
                port: AtomicU16::new(port),
                is_ready: AtomicBool::new(false),
                kept: Mutex::default(),
            }),
            turn: AtomicUsize::new(0),
        }
    }

    fn send(&self, request: &str, keeps: bool) -> io::Result<Answer> {
        let instance = self.next_ready();
        let kept = if keeps {
            lock(&instance.kept).pop()
        } else {
            None
        };
        let mut stream = match kept {
            Some(stream) => stream,
            None => instance.connect()?,
        };
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream)?;
        if keeps && !answer.text.contains("connection: close\r\n") {
            instance.keep(stream);
        }
        Ok(answer)
    }

    fn next_ready(&self) -> &Instance {
        let end = Instant::now() + PATIENCE;
        loop {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let instance = &self.instances[turn % self.instances.len()];
            if instance.is_ready() {
                return instance;
            }
            assert!(Instant::now() < end, "none is ready");
            thread::yield_now();
        }
    }
}

impl Instance {
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Asks whether it is ready, again and again.
    fn watch(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let is_ready = self.ask().is_ok_and(|answer| answer.status == 200);
            self.is_ready.store(is_ready, Ordering::Relaxed);
            if !is_ready {
                lock(&self.kept).clear();
            }
            thread::sleep(INTERVAL);
        }
    }

    fn ask(&self) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        read_answer(&mut stream)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port.load(Ordering::Relaxed)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn keep(&self, stream: TcpStream) {
        let mut kept = lock(&self.kept);
        if self.is_ready() {
            kept.push(stream);
        }
    }

    fn wait_until_ready(&self) {
        let end = Instant::now() + PATIENCE;
        while !self.is_ready() {
            assert!(Instant::now() < end, "it does not become ready");
            thread::yield_now();
        }
    }
}

fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some(status) = whole(&text) {
            let text = text.into_owned();
            return Ok(Answer { status, text });
        }
    }
}

/// The status of an answer that has come to its end.
fn whole(text: &str) -> Option<u16> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (_, length) = head.split_once("content-length: ")?;
    let length: usize = length.split("\r\n").next()?.parse().ok()?;
    (body.len() >= length).then(|| head[9..12].parse().expect("a status"))
}

/// Somebody who logs in, asks with the token, and logs out.
struct User<'a> {
    proxy: &'a Proxy,
    name: String,
    /// Half of them come over connections that the proxy keeps.
    keeps: bool,
    requests: &'a AtomicUsize,
}

impl<'a> User<'a> {
    fn new(proxy: &'a Proxy, number: usize, requests: &'a AtomicUsize) -> Self {
        Self {
            proxy,
            name: format!("user{number}"),
            keeps: number.is_multiple_of(2),
            requests,
        }
    }

    fn come_and_go(&self) -> Result<(), String> {
        let login = format!(r#"{{"username":"{}","password":"{PASSWORD}"}}"#, self.name);
        let answer = self.ask("POST /api/v1/login/", "", &login, 200)?;
        let (_, token) = answer.split_once(r#""token":""#).expect("a token");
        let token = token.split('"').next().unwrap_or_default();
        secrets::note(token);
        let with_token = format!("Authorization: Token {token}\r\n");
        for _ in 0..3 {
            self.ask("GET /api/v1/user/", &with_token, "", 200)?;
        }
        self.ask("POST /api/v1/logout/", &with_token, "", 200)?;
        self.ask("GET /api/v1/user/", &with_token, "", 401)?;
        Ok(())
    }

    fn ask(&self, line: &str, headers: &str, body: &str, expected: u16) -> Result<String, String> {
        let connection = if self.keeps {
            ""
        } else {
            "Connection: close\r\n"
        };
        let request = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\n{connection}{headers}Content-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.requests.fetch_add(1, Ordering::Relaxed);
        match self.proxy.send(&request, self.keeps) {
            Ok(answer) if answer.status == expected => Ok(answer.text),
            Ok(answer) => Err(format!("{line}: {} is not {expected}", answer.status)),
            Err(error) => Err(format!("{line}: {error}")),
        }
    }
}
