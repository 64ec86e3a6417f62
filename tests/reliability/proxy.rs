//! A proxy that honours `/readyz`: it sends each request to the next instance
//! that is ready, once. What fails there has failed: 502.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it asks whether an instance is ready.
const INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for an instance.
const PATIENCE: Duration = Duration::from_secs(20);
const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const BAD_GATEWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

pub struct Proxy {
    instances: [Instance; 2],
    turn: AtomicUsize,
    port: u16,
    is_over: AtomicBool,
}

struct Instance {
    port: AtomicU16,
    is_ready: AtomicBool,
    /// Connections to it on which nothing is asked just now.
    kept: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a port of its own, before instances on these.
    pub fn start(ports: [u16; 2]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = Arc::new(Self {
            instances: ports.map(Instance::new),
            turn: AtomicUsize::new(0),
            port: listener.local_addr().expect("an address").port(),
            is_over: AtomicBool::new(false),
        });
        for number in 0..ports.len() {
            let proxy = Arc::clone(&proxy);
            thread::spawn(move || proxy.watch(number));
        }
        let accepting = Arc::clone(&proxy);
        thread::spawn(move || accepting.accept(&listener));
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Tells that an instance has come back on this port, and waits until it is
    /// taken for ready.
    pub fn moved(&self, number: usize, port: u16) {
        let instance = &self.instances[number];
        instance.port.store(port, Ordering::Relaxed);
        let end = Instant::now() + PATIENCE;
        while !instance.is_ready() {
            assert!(Instant::now() < end, "it does not become ready");
            thread::yield_now();
        }
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        // For who waits for the next connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for (number, client) in listener.incoming().enumerate() {
            if self.is_over() {
                return;
            }
            let (proxy, client) = (Arc::clone(&self), client.expect("a client"));
            // Half of the clients are served over connections that are kept.
            thread::spawn(move || proxy.serve(client, number.is_multiple_of(2)));
        }
    }

    fn serve(&self, mut client: TcpStream, keeps: bool) {
        while let Ok(request) = read_message(&mut client) {
            let answer = self.forward(&request, keeps);
            let answer = answer.unwrap_or_else(|_| BAD_GATEWAY.to_vec());
            if client.write_all(&answer).is_err() || says_close(&answer) {
                return;
            }
        }
    }

    fn forward(&self, request: &[u8], keeps: bool) -> io::Result<Vec<u8>> {
        let instance = self.next_ready()?;
        let kept = if keeps {
            lock(&instance.kept).pop()
        } else {
            None
        };
        let mut stream = match kept {
            Some(stream) => stream,
            None => instance.connect()?,
        };
        stream.write_all(request)?;
        let answer = read_message(&mut stream)?;
        if keeps && !says_close(&answer) {
            instance.keep(stream);
        }
        Ok(answer)
    }

    fn next_ready(&self) -> io::Result<&Instance> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let instance = &self.instances[turn % self.instances.len()];
            if instance.is_ready() {
                return Ok(instance);
            }
            thread::yield_now();
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Asks whether an instance is ready, again and again.
    fn watch(&self, number: usize) {
        let instance = &self.instances[number];
        while !self.is_over() {
            let is_ready = instance.ask().is_ok_and(|answer| is_ok(&answer));
            instance.is_ready.store(is_ready, Ordering::Relaxed);
            if !is_ready {
                lock(&instance.kept).clear();
            }
            thread::sleep(INTERVAL);
        }
    }
}

impl Instance {
    fn new(port: u16) -> Self {
        Self {
            port: AtomicU16::new(port),
            is_ready: AtomicBool::new(false),
            kept: Mutex::default(),
        }
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port.load(Ordering::Relaxed)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn ask(&self) -> io::Result<Vec<u8>> {
        let mut stream = self.connect()?;
        stream.write_all(READY)?;
        read_message(&mut stream)
    }

    fn keep(&self, stream: TcpStream) {
        let mut kept = lock(&self.kept);
        if self.is_ready() {
            kept.push(stream);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request or an answer, whole.
fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_whole(&bytes) {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..length]);
    }
    Ok(bytes)
}

fn is_whole(message: &[u8]) -> bool {
    let length = header(message, "content-length").map_or(0, |text| text.parse().unwrap_or(0));
    head_length(message).is_some_and(|head| message.len() >= head + length)
}

fn head_length(message: &[u8]) -> Option<usize> {
    let at = message.windows(4).position(|end| end == b"\r\n\r\n")?;
    Some(at + 4)
}

fn header(message: &[u8], name: &str) -> Option<String> {
    let head = &message[..head_length(message)?];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = headers.find(|(found, _)| *found == name)?;
    Some(value.to_owned())
}

fn says_close(answer: &[u8]) -> bool {
    header(answer, "connection").is_some_and(|value| value == "close")
}

fn is_ok(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200")
}
