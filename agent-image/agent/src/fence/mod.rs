//! The fence around the network of setup: the internet and nothing nearer. The machine, its neighbours, private networks
//! and the metadata service of a cloud are refused by the kernel, in the container's own network namespace, before
//! `setup.sh` runs. The right to change that is given up for good with it.
//!
//! Routes would not do: a socket bound to the interface ignores them.

mod nftables;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities};

use nftables::{Match, Ruleset, Verdict};

/// What is refused in IPv4.
const NEAR_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared by carriers, and by some clouds for their own services.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; metadata services answer here.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

const DNS: u16 = 53;
/// Discard: for the proof, nobody has to listen.
const NOWHERE: u16 = 9;

/// What else is let through or refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fence {
    /// Name servers; on their port only.
    pub(crate) resolvers: Vec<IpAddr>,
    pub(crate) allowed: Vec<Network>,
    /// Addresses of the machine itself, which may be public ones.
    pub(crate) refused: Vec<IpAddr>,
}

/// `ADDRESS` or `ADDRESS/LENGTH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    length: u8,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FenceError {
    #[error(
        "the kernel takes no packet filter here ({0}); load its module on the host (modprobe nf_tables nft_reject_inet), or \
         choose setup_network = \"proxied\""
    )]
    Filter(io::Error),
    #[error("the packet filter is in place but {0} can be reached; setup.sh was not started")]
    Open(IpAddr),
    #[error("cannot give up the right to change the network: {0}")]
    Capability(#[from] Errno),
}

/// Puts up the fence and proves it from inside.
pub(crate) fn put_up(fence: &Fence) -> Result<(), FenceError> {
    // Where the kernel cannot answer for the other side, packets vanish, and programs wait longer.
    rules(fence, Verdict::Reject)
        .install()
        .or_else(|_| rules(fence, Verdict::Drop).install())
        .map_err(FenceError::Filter)?;
    let metadata = Ipv4Addr::new(169, 254, 169, 254);
    let near = gateway().into_iter().chain([metadata]).map(IpAddr::from);
    for refused in near.chain(fence.refused.iter().copied()) {
        if !fence.allowed.iter().any(|network| network.contains(refused)) {
            prove(refused)?;
        }
    }
    give_up_the_right()
}

fn rules(fence: &Fence, refuse: Verdict) -> Ruleset {
    let mut rules = Ruleset::default();
    // Docker's own name server listens on the loopback.
    rules.add(&[Match::Interface("lo")], Verdict::Accept);
    for resolver in &fence.resolvers {
        for protocol in [libc::IPPROTO_UDP, libc::IPPROTO_TCP] {
            let to = Match::To(Network::from(*resolver));
            rules.add(&[to, Match::Protocol(protocol), Match::Port(DNS)], Verdict::Accept);
        }
    }
    for allowed in &fence.allowed {
        rules.add(&[Match::To(*allowed)], Verdict::Accept);
    }
    for refused in &fence.refused {
        rules.add(&[Match::To(Network::from(*refused))], refuse);
    }
    for (address, length) in NEAR_V4 {
        rules.add(&[Match::To(Network { address: (*address).into(), length: *length })], refuse);
    }
    // Without neighbour discovery there is no IPv6; beside it, only what is global.
    rules.add(&[Match::Ipv6, Match::Protocol(libc::IPPROTO_ICMPV6)], Verdict::Accept);
    rules.add(&[Match::BeyondGlobalV6], refuse);
    rules
}

/// Of the default route.
fn gateway() -> Option<Ipv4Addr> {
    let table = fs::read_to_string("/proc/net/route").ok()?;
    let default = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let gateway = default.into_iter().find(|fields| fields.get(1) == Some(&"00000000"))?;
    Some(Ipv4Addr::from(u32::from_str_radix(gateway.get(2)?, 16).ok()?.to_ne_bytes()))
}

/// The kernel tells the sender at once when it throws away a datagram.
fn prove(address: IpAddr) -> Result<(), FenceError> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let sent = UdpSocket::bind((any, 0)).and_then(|socket| socket.send_to(b"", (address, NOWHERE)));
    match sent {
        Ok(_) => Err(FenceError::Open(address)),
        // Refused, or there is no way there at all.
        Err(_) => Ok(()),
    }
}

fn give_up_the_right() -> Result<(), FenceError> {
    let right = CapabilitySet::NET_ADMIN;
    remove_capability_from_bounding_set(right)?;
    let mut sets = capabilities(None)?;
    sets.effective.remove(right);
    sets.permitted.remove(right);
    sets.inheritable.remove(right);
    Ok(set_capabilities(None, sets)?)
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => (32, u128::from(address.to_bits())),
            IpAddr::V6(address) => (128, address.to_bits()),
        };
        let ((width, own), (other_width, other)) = (bits(self.address), bits(address));
        width == other_width && (own ^ other).checked_shr(width - u32::from(self.length)).unwrap_or(0) == 0
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("write an address or a network such as 10.1.0.0/16")]
pub(crate) struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let whole = Self::from(address.parse::<IpAddr>().map_err(|_| NotANetwork)?);
        let length = length.map_or(Ok(whole.length), |length| length.parse().map_err(|_| NotANetwork))?;
        if length > whole.length { Err(NotANetwork) } else { Ok(Self { length, ..whole }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_or_without_a_length() {
        let network = |text: &str| text.parse::<Network>().ok().map(|network| network.length);
        assert_eq!(network("10.1.0.0/16"), Some(16));
        assert_eq!((network("10.1.2.3"), network("fd00::1")), (Some(32), Some(128)));
        let contains = |text: &str, address: &str| text.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.1.0.0/16", "10.1.255.1") && !contains("10.1.0.0/16", "10.2.0.1"));
        assert!(contains("::/0", "fd00::1") && !contains("::/0", "10.0.0.1"));
        for wrong in ["", "host", "10.1.2.3/33", "10.1.2.3/", "::1/129"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }
}
