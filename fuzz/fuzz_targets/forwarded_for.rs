//! `X-Forwarded-For`, one header a line.
#![no_main]

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::http::request::client_ip::TrustedProxies;

const NAME: HeaderName = HeaderName::from_static("x-forwarded-for");

fuzz_target!(|bytes: &[u8]| {
    let networks = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|text| text.parse().unwrap());
    let proxies = TrustedProxies(networks.into());
    let is_trusted = |address: IpAddr| networks.iter().any(|net| net.contains(&address));
    let values: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|value| HeaderValue::from_bytes(value).is_ok())
        .take(4)
        .collect();
    let read = |peer: IpAddr, values: &[&[u8]]| proxies.client_ip(peer, &headers(values));

    let stranger = "203.0.113.7".parse().unwrap();
    assert_eq!(read(stranger, &values), stranger);

    for proxy in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:ffff::1"] {
        let proxy: IpAddr = proxy.parse().unwrap();
        let address = read(proxy, &values);
        assert_eq!(address, address.to_canonical());
        assert!(address == proxy.to_canonical() || is_written(address, &values));
        // It is the first from the right that is no proxy; whatever the client
        // sent before it changes nothing, be it in this header or in another.
        if !is_trusted(address) {
            let forged = [&[&b"6.6.6.6, 10.0.0.9"[..]][..], &values].concat();
            assert_eq!(read(proxy, &forged), address);
        }
        // Two headers are one with a comma.
        assert_eq!(read(proxy, &[&values.join(&b","[..])]), address);
        // The proxy's own entry is the last.
        let honest = [&values[..], &[&b"198.51.100.9"[..]]].concat();
        assert_eq!(read(proxy, &honest).to_string(), "198.51.100.9");
    }
});

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// Whether some entry is that address, without its brackets or its port.
fn is_written(address: IpAddr, values: &[&[u8]]) -> bool {
    let entries = values.iter().flat_map(|value| value.split(|b| *b == b','));
    entries.map(String::from_utf8_lossy).any(|entry| {
        let entry = entry.trim();
        let before_port = entry.rsplit_once(':').map_or(entry, |(before, _)| before);
        [entry, before_port]
            .map(|text| text.trim_start_matches('[').trim_end_matches(']'))
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok())
            .any(|written| written.to_canonical() == address)
    })
}
