//! Refuses requests for other hosts: Django's `ALLOWED_HOSTS`.

use std::net::SocketAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use url::Url;

use crate::http::request::is_within;
use crate::http::response::pages;

/// The middleware: one `Host` header, well-formed and allowed, or 400.
pub async fn check(
    hosts: web::Data<AllowedHosts>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut headers = request.headers().get_all(HOST);
    let host = headers.next().map(HeaderValue::to_str);
    let is_ours = host.is_some_and(|host| host.is_ok_and(|host| hosts.allows(host)));
    if is_ours && headers.next().is_none() {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let page = pages::django(StatusCode::BAD_REQUEST, "Bad Request (400)", "");
    Ok(request.into_response(page))
}

/// A server's patterns: `example.org`, `.example.org` with its subdomains, or `*`.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// The configured ones, or the public URL's host, and the loopback names if the
    /// server is bound to loopback.
    pub fn new(configured: &[String], public_url: &Url, bound: SocketAddr) -> Self {
        if !configured.is_empty() {
            return Self(configured.to_vec());
        }
        let mut hosts = Vec::from_iter(public_url.host_str().map(str::to_owned));
        if bound.ip().is_loopback() {
            hosts.extend(["localhost", ".localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        Self(hosts)
    }

    /// Whether this `Host` header is well-formed and ours.
    pub fn allows(&self, header: &str) -> bool {
        let Some(host) = host_of(header) else {
            return false;
        };
        let host = host.to_ascii_lowercase();
        let fits = |pattern: &String| match pattern.strip_prefix('.') {
            Some(domain) => is_within(&host, domain),
            None => pattern == "*" || *pattern == host,
        };
        self.0.iter().any(fits)
    }
}

/// The host without its port; `None` unless the header is well-formed.
fn host_of(header: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = header.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (header.get(..address.len() + 2)?, port)
    } else {
        let end = header.find(':').unwrap_or(header.len());
        header.split_at_checked(end)?
    };
    let port_is_fine = match port.strip_prefix(':') {
        Some(digits) => digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let host_is_fine = host.starts_with('[') || (!host.is_empty() && host.bytes().all(is_fine));
    // Django takes the root's dot off.
    (port_is_fine && host_is_fine).then(|| host.strip_suffix('.').unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_hosts_of_ours_are_allowed() {
        let url = Url::parse("https://login.example.org").unwrap();
        let hosts = AllowedHosts::new(&[], &url, ([10, 0, 0, 1], 80).into());
        assert!(hosts.allows("login.example.org"));
        assert!(hosts.allows("LOGIN.example.org:443"));
        assert!(hosts.allows("login.example.org."));
        for wrong in [
            "",
            "localhost",
            "evil.org",
            "login.example.org:x",
            "login.example.org@evil",
            "a b",
        ] {
            assert!(!hosts.allows(wrong), "{wrong}");
        }
    }

    #[test]
    fn patterns_and_loopback() {
        let url = Url::parse("http://127.0.0.1:8000").unwrap();
        let loopback = AllowedHosts::new(&[], &url, ([127, 0, 0, 1], 8000).into());
        assert!(loopback.allows("localhost:8000") && loopback.allows("[::1]:8000"));
        let domain = AllowedHosts::new(
            &[".example.org".to_owned()],
            &url,
            ([127, 0, 0, 1], 80).into(),
        );
        assert!(domain.allows("example.org") && domain.allows("a.b.example.org"));
        assert!(!domain.allows("evilexample.org") && !domain.allows("127.0.0.1"));
    }
}
