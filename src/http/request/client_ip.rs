//! The client's address: the peer's, or what trusted proxies say of it.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// The only header that is read: never `Forwarded`, `X-Real-IP` or one with underscores.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks whose `X-Forwarded-For` is believed; shared by all workers.
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Walks back from the peer: as long as an address is a trusted proxy's, the last one
    /// that the proxy added counts. Entries further left may be forged.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        if !self.trusts(address) {
            return address;
        }
        let values = headers.get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes);
        let values: Vec<&[u8]> = values.collect();
        let entries = values.iter().rev();
        for entry in entries.flat_map(|value| value.rsplit(|byte| *byte == b',')) {
            // Nothing left of an entry that is no address can be believed.
            let Some(next) = parse(entry) else {
                break;
            };
            address = next;
            if !self.trusts(address) {
                break;
            }
        }
        address
    }
}

/// An address, with a port or without: `203.0.113.7`, `203.0.113.7:4711`,
/// `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .filter(|text| text.contains(':'))
        .unwrap_or(text);
    let address: Result<IpAddr, _> = bare.parse();
    let address = address.or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, values: &[&[u8]]) -> String {
        let proxies = ["10.0.0.0/8", "2001:db8:ffff::/48"];
        let proxies = TrustedProxies(proxies.map(|net| net.parse().unwrap()).into());
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        let peer = peer.parse().unwrap();
        proxies.client_ip(peer, &headers).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        for (peer, values, expected) in [
            ("203.0.113.7", &[&b"1.2.3.4"[..]][..], "203.0.113.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"1.2.3.4"], "1.2.3.4"),
            ("::ffff:10.0.0.1", &[b"::ffff:1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[b"6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[b"6.6.6.6, 1.2.3.4, 10.9.9.9"], "1.2.3.4"),
            ("10.0.0.1", &[b"6.6.6.6", b"1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[b"1.2.3.4:4711"], "1.2.3.4"),
            ("10.0.0.1", &[b"[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &[b"[2001:db8::1]"], "2001:db8::1"),
            ("2001:db8:ffff::1", &[b"2001:db8::1"], "2001:db8::1"),
            // All of them proxies: the first one is as far as it goes.
            ("10.0.0.1", &[b"10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            // An entry that is no address does not count.
            ("10.0.0.1", &[b"1.2.3.4, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[b"\xff"], "10.0.0.1"),
            ("10.0.0.1", &[b""], "10.0.0.1"),
            ("10.0.0.1", &[b"[1.2.3.4]"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, values), expected, "{peer} {values:?}");
        }
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_itself_whatever_it_sends(value in "[ -~]{0,200}") {
            prop_assert_eq!(client("203.0.113.7", &[value.as_bytes()]), "203.0.113.7");
        }

        #[test]
        fn what_a_client_sends_before_the_proxys_own_entry_changes_nothing(
            value in "[ -~]{0,200}",
        ) {
            let value = format!("{value},1.2.3.4");
            prop_assert_eq!(client("10.0.0.1", &[value.as_bytes()]), "1.2.3.4");
        }
    }
}
