//! HTTP as bytes, so that what is sent can be wrong.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Between the parts of a request that come one after the other.
const PAUSE: Duration = Duration::from_millis(100);
/// A server that has not closed the connection by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that came back.
pub struct Answer {
    pub status: u16,
    /// `100 Continue` came first.
    pub went_on: bool,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What came after this answer on the same connection.
    pub rest: Vec<u8>,
}

/// Sends the chunks, and reads until the server closes the connection.
pub fn exchange(port: u16, chunks: &[Vec<u8>], half_close: bool) -> Result<Answer, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut writer = stream.try_clone().expect("a second handle");
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (i, chunk) in chunks.iter().enumerate() {
                if i > 0 {
                    std::thread::sleep(PAUSE);
                }
                // A server may answer, and close, before it has read all.
                if writer.write_all(chunk).is_err() {
                    return;
                }
            }
            if half_close {
                let _ = writer.shutdown(Shutdown::Write);
            }
        });
        let mut buffer = [0; 65536];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return Err(format!("the connection stays open: {error}"));
                }
            }
        }
    })?;
    parse(&received).ok_or_else(|| {
        let text = String::from_utf8_lossy(&received);
        format!("no HTTP: {text:?}")
    })
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        let answer = parse(rest)?;
        return Some(Answer {
            went_on: true,
            ..answer
        });
    }
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let header = |wanted: &str| {
        let mut named = headers.iter().filter(|(name, _)| name == wanted);
        named.next().map(|(_, value)| value.as_str())
    };
    let (body, rest) = if header("transfer-encoding") == Some("chunked") {
        unchunked(rest)?
    } else {
        let length = header("content-length")
            .and_then(|value| value.parse().ok())
            .filter(|length: &usize| *length <= rest.len());
        let (body, rest) = rest.split_at(length.unwrap_or(rest.len()));
        (body.to_vec(), rest)
    };
    Some(Answer {
        status,
        went_on: false,
        headers,
        body,
        rest: rest.to_vec(),
    })
}

/// The body of these chunks, and what comes after the last one.
fn unchunked(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        let chunk = bytes.get(end + 2..end + 2 + size)?;
        body.extend_from_slice(chunk);
        bytes = bytes[end + 2 + size..].strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((body, bytes));
        }
    }
}
