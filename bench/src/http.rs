//! Just enough of an HTTP/1.1 client, so that it takes little of the cores that
//! it shares with the server.

use std::{
    io::{Error, ErrorKind, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// One connection, opened anew when the server has closed it.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    stop: Arc<AtomicBool>,
}

pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self::stopped_by(address, Arc::default())
    }

    /// Gives up waiting for an answer once `stop` is set.
    pub fn stopped_by(address: SocketAddr, stop: Arc<AtomicBool>) -> Self {
        Self {
            address,
            stream: None,
            buffer: Vec::new(),
            stop,
        }
    }

    /// Sends a GET, with one more header line if that is not empty.
    pub fn get(&mut self, path: &str, header: &str) -> Result<Response> {
        let end = if header.is_empty() { "" } else { "\r\n" };
        let host = self.address;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}{end}\r\n"
        ))
    }

    /// Posts JSON, with one more header line.
    pub fn post_json(&mut self, path: &str, header: &str, json: &str) -> Result<Response> {
        let (host, length) = (self.address, json.len());
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{json}"
        ))
    }

    fn send(&mut self, request: &str) -> Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(request.as_bytes())?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more(&mut stream)?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .filter(|(n, _)| *n == name)
                .map(|(_, value)| value)
                .next()
        };
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        let (Some(status), Some(length)) = (status, length) else {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("no such answer is known: {head}"),
            ));
        };
        let closes = header("connection") == Some("close");
        while self.buffer.len() < head_end + length {
            self.read_more(&mut stream)?;
        }
        if !closes {
            self.stream = Some(stream);
        }
        let body = String::from_utf8_lossy(&self.buffer[head_end..]).into_owned();
        Ok(Response { status, body })
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(stream)
    }

    fn read_more(&mut self, stream: &mut TcpStream) -> Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(e);
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
