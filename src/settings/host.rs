//! Which `Host` headers are answered: Django's `ALLOWED_HOSTS`.

use std::net::SocketAddr;

use url::Url;

/// The patterns of one server.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// The configured ones, or the public URL's host, with the loopback names
    /// while the server is bound to loopback.
    pub fn new(configured: &[String], public_url: &Url, bound: SocketAddr) -> Self {
        if !configured.is_empty() {
            return Self(configured.to_vec());
        }
        let mut hosts: Vec<String> = public_url
            .host_str()
            .map(str::to_owned)
            .into_iter()
            .collect();
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
        self.0
            .iter()
            .any(|pattern| match pattern.strip_prefix('.') {
                Some(domain) => {
                    host == domain
                        || host
                            .strip_suffix(domain)
                            .is_some_and(|rest| rest.ends_with('.'))
                }
                None => pattern == "*" || *pattern == host,
            })
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
    let host_is_fine = host.starts_with('[')
        || (!host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
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
