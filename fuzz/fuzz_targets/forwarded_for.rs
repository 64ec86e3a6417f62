//! `X-Forwarded-For`.
#![no_main]

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::http::client_ip::TrustedProxies;

fuzz_target!(|values: Vec<&[u8]>| {
    let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
    let name = HeaderName::from_static("x-forwarded-for");
    let mut headers = HeaderMap::new();
    for value in values.iter().take(4) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name.clone(), value);
        }
    }
    let stranger = "203.0.113.7".parse().unwrap();
    assert_eq!(proxies.client_ip(stranger, &headers), stranger);

    let proxy = "10.0.0.1".parse().unwrap();
    let address = proxies.client_ip(proxy, &headers);
    assert_eq!(address, address.to_canonical());
    // The proxy's own entry is the last; what came before it changes nothing.
    headers.append(name, HeaderValue::from_static("198.51.100.9"));
    assert_eq!(proxies.client_ip(proxy, &headers).to_string(), "198.51.100.9");
});
