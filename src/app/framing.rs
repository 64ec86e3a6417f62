//! Where in the stream of a client's bytes one request ends and the next begins.

use httparse::{EMPTY_HEADER, Request, Status};

/// More headers than that are not worth looking through.
const MOST_HEADERS: usize = 32;

/// What the bytes that have come so far end with.
///
/// Only what is sure is said: a head that comes in pieces, a body of unknown
/// length, or requests that are sent before the last one was answered make it
/// [`Unknown`](Self::Unknown), for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing has come.
    Nothing,
    /// Whole requests, and not a byte more.
    Whole,
    /// A request whose body has so many bytes to come.
    Body(usize),
    /// That cannot be told.
    Unknown,
}

impl Framing {
    /// The same, now that these bytes, one at least, have come too.
    pub fn after(self, bytes: &[u8]) -> Self {
        let (length, there) = match self {
            Self::Unknown => return Self::Unknown,
            Self::Body(length) => (length, bytes.len()),
            Self::Nothing | Self::Whole => match lengths(bytes) {
                Some((head, body)) => (body, bytes.len() - head),
                None => return Self::Unknown,
            },
        };
        match length.checked_sub(there) {
            Some(0) => Self::Whole,
            Some(rest) => Self::Body(rest),
            None => Self::Unknown,
        }
    }
}

/// How long the head of a request is, and its body; `None` if these bytes do not
/// begin with a whole head that says so plainly.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    let Ok(Status::Complete(head)) = request.parse(bytes) else {
        return None;
    };
    let mut body = None;
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = std::str::from_utf8(header.value).ok()?;
            let is_first = body.replace(length.parse().ok()?).is_none();
            if !is_first || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
        } else if is("transfer-encoding") || is("upgrade") {
            return None;
        }
    }
    let is_tunnel = request.method == Some("CONNECT");
    (!is_tunnel).then_some((head, body.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(chunks: &[&str]) -> Framing {
        chunks.iter().fold(Framing::Nothing, |framing, chunk| {
            framing.after(chunk.as_bytes())
        })
    }

    #[test]
    fn whole_requests_are_told() {
        for chunks in [
            &["GET / HTTP/1.1\r\nHost: a\r\n\r\n"][..],
            &["GET / HTTP/1.1\r\n\r\n", "HEAD /b HTTP/1.1\r\nA: b\r\n\r\n"],
            &["POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\nabc"],
            &["POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "a", "bc"],
            &["POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"],
        ] {
            assert_eq!(after(chunks), Framing::Whole, "{chunks:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_all_there_is_told() {
        let head = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(after(&[head]), Framing::Body(3));
        assert_eq!(after(&[head, "ab"]), Framing::Body(1));
    }

    #[test]
    fn what_is_not_sure_is_never_sure_again() {
        let whole = "GET / HTTP/1.1\r\n\r\n";
        for chunk in [
            "GET / HT",
            "GET / HTTP/1.1\r\n\r\nGET",
            "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "what is no HTTP\r\n\r\n",
        ] {
            assert_eq!(after(&[chunk]), Framing::Unknown, "{chunk}");
            assert_eq!(after(&[chunk, whole]), Framing::Unknown, "{chunk}");
            assert_eq!(after(&[whole, chunk]), Framing::Unknown, "{chunk}");
        }
    }

    /// Some requests, and where each of them ends.
    fn requests(bodies: &[Option<Vec<u8>>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for body in bodies {
            match body {
                None => bytes.extend(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                Some(body) => {
                    let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
                    bytes.extend(head.as_bytes());
                    bytes.extend(body);
                }
            }
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// A body, such as one that looks like a request.
    fn body() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop_oneof![
            Just(None),
            Just(Some(b"GET / HTTP/1.1\r\n\r\n".to_vec())),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn whole_is_said_only_where_a_request_ends(
            bodies in prop::collection::vec(body(), 1..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            at_ends in any::<bool>(),
        ) {
            let (bytes, ends) = requests(&bodies);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            if at_ends {
                cuts.extend(&ends);
            }
            cuts.push(bytes.len());
            cuts.sort_unstable();
            cuts.dedup();
            let (mut framing, mut from) = (Framing::Nothing, 0);
            for to in cuts.into_iter().filter(|to| *to > 0) {
                framing = framing.after(&bytes[from..to]);
                prop_assert!(framing != Framing::Whole || ends.contains(&to), "{to} {ends:?}");
                from = to;
            }
        }

        #[test]
        fn requests_that_come_one_by_one_are_whole(
            bodies in prop::collection::vec(body(), 1..5),
        ) {
            let (bytes, ends) = requests(&bodies);
            let (mut framing, mut from) = (Framing::Nothing, 0);
            for to in ends {
                framing = framing.after(&bytes[from..to]);
                prop_assert_eq!(framing, Framing::Whole);
                from = to;
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
            let _ = Framing::Nothing.after(&bytes).after(&bytes);
        }
    }
}
