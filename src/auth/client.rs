//! Who asks, as far as a password check or the audit log cares: not the user, but the
//! machine and the browser.

use std::net::{IpAddr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use django_auth::random::random_string;
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const DEVICE_LENGTH: usize = 32;

/// A random text that a browser keeps, so that it is known again.
#[derive(Clone)]
pub struct Device(SecretString);

impl Device {
    /// Takes what a client sent, if it can be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let can_be =
            text.len() == DEVICE_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        can_be.then(|| Self(text.to_owned().into()))
    }

    /// A new one.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(random_string(DEVICE_LENGTH, rng).into())
    }

    /// The text itself, to be set as a cookie.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the database knows of it.
    fn digest(&self) -> String {
        let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(self.expose()));
        text.truncate(22);
        format!("device {text}")
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

/// Where a request comes from, and by which entry point.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The address; `None` if it is on this machine and came over no network.
    pub address: Option<IpAddr>,
    /// The browser, if it is one that we know again.
    pub device: Option<Device>,
    /// The path, or the command line.
    pub entry_point: String,
    /// The request's id in the log; may be empty.
    pub request_id: String,
}

impl Client {
    /// An admin at the command line.
    pub fn command_line() -> Self {
        Self {
            entry_point: "command line".to_owned(),
            ..Self::default()
        }
    }

    /// The network that failures are counted for: one IPv4 address, or the /64 that a
    /// household or a host gets in IPv6.
    pub fn network(&self) -> String {
        self.address.map_or_else(|| "local".to_owned(), network_of)
    }

    /// The browser, as the database knows it.
    pub fn device_digest(&self) -> Option<String> {
        self.device.as_ref().map(Device::digest)
    }

    /// The address as text; empty if there is none.
    pub fn address_text(&self) -> String {
        self.address
            .map(|address| address.to_canonical().to_string())
            .unwrap_or_default()
    }
}

pub(super) fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        network_of(address.parse().unwrap())
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        assert_eq!(network("203.0.113.7"), "203.0.113.7");
        assert_eq!(network("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(Client::default().network(), "local");
    }

    #[test]
    fn every_name_of_a_client_fits_its_column() {
        let device = Device::random(&mut rand::rng());
        assert!(device.digest().len() <= 64);
        assert!(!device.digest().contains(device.expose()));
        assert!(network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").len() <= 64);
        assert!(Device::parse(device.expose()).is_some());
        assert!(Device::parse(&device.digest()).is_none());
    }
}
