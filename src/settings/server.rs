//! Where the server listens, how much it serves at once, and how long it waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use url::Url;

use super::entry::{key, settings};
use super::parse::{MOST_COUNT, cores, count, count_or, duration, number, optional};

/// actix-server has no more.
const MOST_WORKERS: usize = 512;
/// actix-http refuses more by itself.
const MOST_HEADERS: usize = 128 * 1024;
/// A body is held in memory whole.
const MOST_BODY: usize = 16 * 1024 * 1024;

settings! {
    /// Where the server listens, how much it serves at once, and how long it waits.
    pub struct ServerSettings {
        ADDRESS {
            /// Listen address
            pub bind: SocketAddr = key("PORTCULLIS_BIND").default("127.0.0.1:8000"), address;
            /// What browsers see: decides Secure cookies, the CSRF origin, HSTS and links
            pub public_url: Option<Url> = key("PORTCULLIS_PUBLIC_URL")
                .computed("http:// and the listen address"), optional(public_url);
        }
        LIMITS {
            /// Threads that answer requests
            pub workers: NonZeroUsize = key("PORTCULLIS_WORKERS").computed("cores"),
                count_or(cores(), MOST_WORKERS);
            /// Connections that are held at once; more wait to be accepted
            pub max_connections: NonZeroUsize = key("PORTCULLIS_MAX_CONNECTIONS").default("10000"),
                count(MOST_COUNT);
            /// How long a connection is kept on which nothing is asked
            pub keep_alive: Duration = key("PORTCULLIS_KEEP_ALIVE").default("75s"), duration;
            /// Longest time for the first headers of a connection to arrive (then 408)
            pub header_timeout: Duration = key("PORTCULLIS_HEADER_TIMEOUT").default("10s"), duration;
            /// Longest time for a request to arrive (then 408), and again for its answer to begin
            pub request_timeout: Duration = key("PORTCULLIS_REQUEST_TIMEOUT").default("30s"),
                duration;
            /// Most bytes of a request's path and headers; more get 431
            pub max_headers: usize = key("PORTCULLIS_MAX_HEADERS").default("32768"),
                number(1024..=MOST_HEADERS);
            /// Most bytes of a request's body; more get 413
            pub max_body: usize = key("PORTCULLIS_MAX_BODY").default("65536"),
                number(1024..=MOST_BODY);
            /// How long everything but /readyz is still answered after SIGTERM, for a proxy to see it
            pub shutdown_delay: Duration = key("PORTCULLIS_SHUTDOWN_DELAY").default("7s"),
                |text| if text == "0s" { Ok(Duration::ZERO) } else { duration(text) };
            /// Longest time after that for requests in flight to finish
            pub shutdown_timeout: Duration = key("PORTCULLIS_SHUTDOWN_TIMEOUT").default("20s"),
                duration;
        }
    }
}

impl ServerSettings {
    /// Whether browsers reach the server by https.
    pub fn is_https(&self) -> bool {
        let url = self.public_url.as_ref();
        url.is_some_and(|url| url.scheme() == "https")
    }

    /// Where this machine reaches the server.
    pub(super) fn listen_url(&self) -> Result<Url, String> {
        let ip = match self.bind.ip() {
            ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        };
        Url::parse(&format!("http://{}", SocketAddr::new(ip, self.bind.port())))
            .map_err(|error| format!("no URL can be made of it ({error})"))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "not an address such as 127.0.0.1:8000".to_owned())
}

fn public_url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|_| "not a URL such as https://login.example.org".to_owned())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must start with https:// or http://".to_owned());
    }
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must be a scheme, a host and a port only; Portcullis is served at /".to_owned(),
        );
    }
    Ok(url)
}
