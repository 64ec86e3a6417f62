//! A network of its own, on whose way back packets can be lost for real.

use std::net::Ipv4Addr;
use std::process::Command;

use super::cluster::run;

const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);

/// A network namespace and a cable to it, gone when the value is dropped.
pub struct Network {
    name: String,
}

impl Network {
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "only root may make a network to lose packets in: run this drill as root"
        );
        let network = Self {
            // An interface has a name of 15 bytes at most.
            name: format!("pc{}", std::process::id()),
        };
        let (name, near) = (network.name.as_str(), network.near());
        let (near_net, far_net) = (format!("{NEAR}/30"), format!("{FAR}/30"));
        ip(&["netns", "add", name]);
        ip(&[
            "link", "add", &near, "type", "veth", "peer", "name", "far", "netns", name,
        ]);
        ip(&["address", "add", &near_net, "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        ip(&["-n", name, "address", "add", &far_net, "dev", "far"]);
        ip(&["-n", name, "link", "set", "far", "up"]);
        network
    }

    pub fn far(&self) -> Ipv4Addr {
        FAR
    }

    /// Nothing comes back any more: neither answers nor acknowledgements.
    pub fn lose_packets(&self) {
        ip(&[
            "-n",
            &self.name,
            "route",
            "add",
            "blackhole",
            &NEAR.to_string(),
        ]);
    }

    pub fn lose_none(&self) {
        ip(&[
            "-n",
            &self.name,
            "route",
            "delete",
            "blackhole",
            &NEAR.to_string(),
        ]);
    }

    /// What a command begins with that is to run at the far end.
    pub fn words(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    fn near(&self) -> String {
        format!("{}n", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["link", "delete", &self.near()])
            .status();
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

/// Of Debian's package iproute2.
fn ip(words: &[&str]) {
    run(Command::new("ip").args(words));
}
