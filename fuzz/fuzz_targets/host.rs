//! `Host` headers.
#![no_main]

use std::net::SocketAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::http::middleware::host::AllowedHosts;
use url::Url;

static HOSTS: LazyLock<AllowedHosts> = LazyLock::new(|| {
    let configured = [".example.org".to_owned(), "login.test".to_owned()];
    let public = Url::parse("https://login.test").unwrap();
    AllowedHosts::new(&configured, &public, SocketAddr::from(([192, 0, 2, 1], 80)))
});

fuzz_target!(|header: &str| {
    if HOSTS.allows(header) {
        // Well-formed for HTTP, such as xn--a, is not always a host to a browser.
        let Ok(url) = Url::parse(&format!("http://{header}/")) else {
            return;
        };
        let host = url
            .host_str()
            .expect("a host")
            .trim_end_matches('.')
            .to_owned();
        let is_ours =
            host == "login.test" || host == "example.org" || host.ends_with(".example.org");
        assert!(is_ours, "{header:?} is {host:?}");
        assert!(url.username().is_empty() && url.password().is_none());
        assert!(!header.contains(['/', '\\', '@', '?', '#', ' ', '%']));
    }
});
