//! What the fence around the network of setup has to know of this machine: its name servers, and its own addresses.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv6Addr},
};

use crate::config;

/// The arguments of `atelier agent setup`.
pub(super) fn arguments(settings: &config::Sandbox) -> Vec<String> {
    let named = |name: &'static str| move |value: String| [name.to_owned(), value];
    let resolvers = resolvers().into_iter().map(|address| address.to_string()).flat_map(named("--resolver"));
    let own = own_addresses().into_iter().map(|address| address.to_string()).flat_map(named("--refuse"));
    let allowed = settings.setup_allow.iter().map(ToString::to_string).flat_map(named("--allow"));
    ["--fence".to_owned()].into_iter().chain(resolvers).chain(own).chain(allowed).collect()
}

/// Whom Docker's name server asks, partly from within the container's network.
fn resolvers() -> BTreeSet<IpAddr> {
    // Where the first names a server on the loopback, Docker takes the second.
    let files = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
    let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    servers.filter(|address: &IpAddr| !address.is_loopback()).collect()
}

/// Public ones too: a packet to them would stay on this machine.
fn own_addresses() -> BTreeSet<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let local = own_v4(&v4).into_iter().chain(own_v6(&v6));
    local.filter(|address| !address.is_loopback()).collect()
}

/// An address stands on the line before the word that it is local.
fn own_v4(table: &str) -> Vec<IpAddr> {
    let lines: Vec<&str> = table.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    pairs.filter_map(|pair| pair[0].trim().strip_prefix("|-- ")?.parse().ok()).collect()
}

/// 32 hexadecimal digits at the start of each line.
fn own_v6(table: &str) -> Vec<IpAddr> {
    let digits = table.lines().filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok());
    digits.map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        let v4 = "Local:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.3\n        /32 link BROADCAST\n";
        assert_eq!(own_v4(v4), ["192.0.2.2".parse::<IpAddr>().unwrap()]);
        let v6 = "20010db8000000000000000000000001 02 40 00 80     eth0\n";
        assert_eq!(own_v6(v6), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }
}
