//! The names of the server and of its session cookie, and whom it trusts.

use ipnet::IpNet;
use url::Url;

use super::entry::{key, settings};
use super::parse::list;

settings! {
    /// The names of the server and of its session cookie, and whom it trusts.
    pub struct HttpSettings {
        NAMES {
            /// Host headers that are answered, comma-separated; `.example.org` takes subdomains,
            /// `*` any
            pub allowed_hosts: Vec<String> = key("PORTCULLIS_ALLOWED_HOSTS")
                .computed("host of the public URL; loopback names too while bound to loopback"),
                list(host_pattern);
            /// Name of the session cookie; __Host-sessionid where no Django shares it
            pub session_cookie: String = key("PORTCULLIS_SESSION_COOKIE").default("sessionid"),
                cookie_name;
        }
        TRUSTED {
            /// Networks whose X-Forwarded-For is believed, comma-separated
            pub trusted_proxies: Vec<IpNet> = key("PORTCULLIS_TRUSTED_PROXIES").computed("none"),
                list(network);
            /// Origins whose pages may log in and read answers, comma-separated; to write by
            /// session they must be trusted origins too
            pub cors_origins: Vec<String> = key("PORTCULLIS_CORS_ORIGINS").computed("none"),
                list(origin);
            /// Django's CSRF_TRUSTED_ORIGINS, https://*.example.org included
            pub trusted_origins: Vec<String> = key("PORTCULLIS_TRUSTED_ORIGINS").computed("none"),
                list(origin_pattern);
        }
    }
}

/// A host name, `.` and a domain for its subdomains too, or `*`.
fn host_pattern(text: &str) -> Result<String, String> {
    let name = text.strip_prefix('.').unwrap_or(text);
    let is_host = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    if text != "*" && (name.is_empty() || !is_host) {
        return Err(format!("`{text}` is not a host name"));
    }
    Ok(text.to_ascii_lowercase())
}

fn cookie_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_token) {
        return Err("a cookie name is 1 to 64 letters, digits, `_`, `-` or `.`".to_owned());
    }
    if text == django_auth::csrf::COOKIE_NAME {
        return Err("csrftoken is the CSRF cookie's name".to_owned());
    }
    Ok(text.to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse().map(|ip: std::net::IpAddr| IpNet::from(ip)))
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8"))
}

fn origin(text: &str) -> Result<String, String> {
    accept_origin(text, text)
}

/// An origin, or `https://*.example.org` for all subdomains.
fn origin_pattern(text: &str) -> Result<String, String> {
    accept_origin(text, &text.replacen("://*.", "://", 1))
}

/// `text`, if `origin` is as a browser sends it: lower case, no default port, no path.
fn accept_origin(text: &str, origin: &str) -> Result<String, String> {
    let is_exact = Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin
    });
    if !is_exact || origin.contains('*') {
        return Err(format!(
            "`{text}` is not an origin such as https://app.example.org"
        ));
    }
    Ok(text.to_owned())
}
