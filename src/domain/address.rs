//! Which network addresses the server may talk to on behalf of a task: public ones, and those the operator listed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Host;

use super::source::RepoUrl;

/// Whether the address is global unicast: somewhere on the internet, never the host, its networks or a cloud's metadata.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded_in_nat64(address) {
            Some(embedded) => is_public_v4(embedded),
            None => GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address)),
        },
    }
}

/// The private hosts that may be fetched from: `[source] allow_private_hosts`. The default allows none.
#[derive(Debug, Clone, Default)]
pub(crate) struct AddressPolicy {
    allowed: Vec<AllowedHost>,
}

/// One entry: `host`, `host:port`, `IP`, `IP:port`, `[v6]:port` or `network/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedHost {
    Name { host: String, port: Option<u16> },
    Address { address: IpAddr, port: Option<u16> },
    Network(IpNet),
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AddressError {
    #[error("{0} is not a public address; to fetch from it add it to [source] allow_private_hosts")]
    NotPublic(IpAddr),
    #[error("{0} is not a public host; to fetch from it add it to [source] allow_private_hosts")]
    NotPublicName(String),
    #[error(
        "{host} resolves to {address}, which is not a public address; to fetch from it add {host} to [source] allow_private_hosts"
    )]
    ResolvesToPrivate { host: String, address: IpAddr },
    #[error("plain http is not protected on its way; use https://{0}, or add {0} to [source] allow_private_hosts")]
    PlainHttp(String),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no entry for [source] allow_private_hosts: write a host, host:port, an IP address, [IPv6]:port or a network such as 10.0.0.0/8"
)]
pub(crate) struct NotAnAllowedHost(String);

impl AddressPolicy {
    pub(crate) fn new(allowed: Vec<AllowedHost>) -> Self {
        Self { allowed }
    }

    /// Reads the entries as they stand in the configuration.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, NotAnAllowedHost> {
        entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>().map(Self::new)
    }

    /// What the URL alone tells, so that a submit can be refused at once. Names are resolved, and judged by
    /// [`permits`](Self::permits), only when the connection is made.
    pub(crate) fn check_url(&self, url: &RepoUrl) -> Result<(), AddressError> {
        let host = url.host();
        if self.lists(&host, url.port()) {
            return Ok(());
        }
        let literal = match &host {
            Host::Domain(name) if is_special_name(name) => return Err(AddressError::NotPublicName((*name).to_owned())),
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        };
        match literal {
            Some(address) if !is_public(address) => Err(AddressError::NotPublic(address)),
            _ if url.is_plain_http() => Err(AddressError::PlainHttp(host.to_string())),
            _ => Ok(()),
        }
    }

    /// Judges one address that `host` resolved to; the caller then connects to this address and no other.
    pub(crate) fn permits(&self, host: &Host<&str>, port: u16, address: IpAddr) -> Result<(), AddressError> {
        let listed = self.lists(host, port) || self.allowed.iter().any(|allowed| allowed.covers(address, port));
        if listed || is_public(address) {
            return Ok(());
        }
        Err(match host {
            Host::Domain(name) => AddressError::ResolvesToPrivate { host: (*name).to_owned(), address },
            Host::Ipv4(_) | Host::Ipv6(_) => AddressError::NotPublic(address),
        })
    }

    fn lists(&self, host: &Host<&str>, port: u16) -> bool {
        self.allowed.iter().any(|allowed| match host {
            Host::Domain(name) => allowed.names(name, port),
            Host::Ipv4(address) => allowed.covers(IpAddr::V4(*address), port),
            Host::Ipv6(address) => allowed.covers(IpAddr::V6(*address), port),
        })
    }
}

impl AllowedHost {
    fn names(&self, name: &str, at: u16) -> bool {
        match self {
            Self::Name { host, port } => without_root(name).eq_ignore_ascii_case(host) && port.is_none_or(|p| p == at),
            Self::Address { .. } | Self::Network(_) => false,
        }
    }

    fn covers(&self, wanted: IpAddr, at: u16) -> bool {
        match self {
            Self::Name { .. } => false,
            Self::Address { address, port } => *address == wanted && port.is_none_or(|p| p == at),
            Self::Network(network) => network.contains(&wanted),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = NotAnAllowedHost;

    fn from_str(text: &str) -> Result<Self, NotAnAllowedHost> {
        let refused = || NotAnAllowedHost(text.to_owned());
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address { address, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().map_err(|_| refused())?)),
            _ => (text, None),
        };
        match Host::parse(host).map_err(|_| refused())? {
            Host::Domain(name) if name.contains(['*', '/']) || without_root(&name).is_empty() => Err(refused()),
            Host::Domain(name) => Ok(Self::Name { host: without_root(&name).to_owned(), port }),
            Host::Ipv4(address) => Ok(Self::Address { address: address.into(), port }),
            Host::Ipv6(address) => Ok(Self::Address { address: address.into(), port }),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = match self {
            Self::Name { host, port } => (host.clone(), port),
            Self::Address { address: IpAddr::V6(address), port: port @ Some(_) } => (format!("[{address}]"), port),
            Self::Address { address, port } => (address.to_string(), port),
            Self::Network(network) => (network.to_string(), &None),
        };
        formatter.write_str(&host)?;
        port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

/// Names set aside for the machine itself and for private networks (RFC 6761, RFC 6762, ICANN's `.internal`); the
/// metadata service of a cloud is one of them.
fn is_special_name(name: &str) -> bool {
    let name = without_root(name);
    name.rsplit('.').next().is_some_and(|last| {
        ["localhost", "localdomain", "local", "internal"].iter().any(|special| last.eq_ignore_ascii_case(special))
    })
}

/// `example.org.` is `example.org`.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(&address))
}

/// The IPv4 address behind `64:ff9b::/96` (RFC 6052), which is how a host without IPv4 reaches one.
fn embedded_in_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            let [.., a, b, c, d] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// The IANA special-purpose registry, with multicast and the reserved rest.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Azure answers its machines with credentials here, though the address is a public one.
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// All global unicast addresses given out so far. Loopback, mapped and compatible IPv4, link-local, unique local
/// and multicast addresses lie outside.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Inside the global range: protocol assignments (Teredo, benchmarking, ORCHID), documentation, 6to4.
const SPECIAL_V6: &[Ipv6Net] = &[v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(entries: &[&str]) -> AddressPolicy {
        AddressPolicy::parse(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn check(policy: &AddressPolicy, url: &str) -> Result<(), AddressError> {
        policy.check_url(&url.parse().unwrap())
    }

    #[test]
    fn only_global_unicast_is_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
    }

    #[test]
    fn every_spelling_of_a_private_host_is_refused_at_submit() {
        for host in [
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "2130706433",
            "0x7f.1",
            "0177.1",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "169.254.169.254",
            "10.0.0.1",
            "192.168.1.1",
            "172.17.0.1",
            "100.64.0.1",
            "[fe80::1]",
            "[fd00::1]",
            "metadata.google.internal",
            "printer.local",
        ] {
            let refused = check(&AddressPolicy::default(), &format!("https://{host}/r.git")).unwrap_err();
            assert!(refused.to_string().contains("allow_private_hosts"), "{host}: {refused}");
        }
        assert_eq!(check(&AddressPolicy::default(), "https://example.org/r.git"), Ok(()));
        assert_eq!(
            check(&AddressPolicy::default(), "http://example.org/r.git"),
            Err(AddressError::PlainHttp("example.org".into()))
        );
    }

    #[test]
    fn listed_hosts_are_let_through_by_any_form_of_entry() {
        for (entry, url) in [
            ("git.lan", "http://git.lan:3000/r.git"),
            ("Git.Lan:3000", "http://git.lan.:3000/r.git"),
            ("127.0.0.1", "http://127.0.0.1:3000/r.git"),
            ("127.0.0.1:3000", "http://0x7f.1:3000/r.git"),
            ("[::1]:3000", "http://[::1]:3000/r.git"),
            ("::1", "http://[::1]:3000/r.git"),
            ("127.0.0.0/8", "http://127.3.2.1:3000/r.git"),
            ("fd00::/8", "http://[fd00::7]:3000/r.git"),
        ] {
            assert_eq!(check(&policy(&[entry]), url), Ok(()), "{entry} {url}");
        }
        for (entry, url) in [
            ("git.lan:3000", "http://git.lan/r.git"),
            ("git.lan", "http://evil.git.lan/r.git"),
            ("127.0.0.1:3000", "http://127.0.0.1:3001/r.git"),
            ("10.0.0.0/8", "https://127.0.0.1/r.git"),
        ] {
            assert!(check(&policy(&[entry]), url).is_err(), "{entry} {url}");
        }
    }

    #[test]
    fn the_connected_address_is_judged_whatever_the_name_says() {
        let name = Host::Domain("git.example.org");
        let private = "10.1.2.3".parse().unwrap();
        assert_eq!(AddressPolicy::default().permits(&name, 443, "1.1.1.1".parse().unwrap()), Ok(()));
        assert!(matches!(
            AddressPolicy::default().permits(&name, 443, private),
            Err(AddressError::ResolvesToPrivate { .. })
        ));
        assert_eq!(policy(&["10.0.0.0/8"]).permits(&name, 443, private), Ok(()));
        assert_eq!(policy(&["git.example.org"]).permits(&name, 443, private), Ok(()));
        assert!(policy(&["git.example.org:80"]).permits(&name, 443, private).is_err());
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for entry in ["git.lan", "git.lan:3000", "10.0.0.7", "10.0.0.7:80", "::1", "[::1]:80", "10.0.0.0/8"] {
            assert_eq!(entry.parse::<AllowedHost>().unwrap().to_string(), entry);
        }
        for bad in ["", ".", "*.lan", "http://git.lan", "git.lan:port", "git.lan:99999", "a b", "10.0.0.0/40"] {
            assert_eq!(bad.parse::<AllowedHost>(), Err(NotAnAllowedHost(bad.to_owned())));
        }
    }

    /// What git is handed, and what the proxy is told to dial, is one host that was judged. `dev/fuzz` runs this for as
    /// long as it is told to, each run of the tests for a moment.
    #[test]
    fn any_text_is_a_url_of_one_public_host_or_refused() {
        let nobody = AddressPolicy::default();
        bolero::check!(name = "git_url").with_test_time(std::time::Duration::from_secs(1)).for_each(
            |bytes: &[u8]| {
                let Ok(url) = String::from_utf8_lossy(bytes).parse::<RepoUrl>() else { return };
                let text = url.as_str();
                assert_eq!(text.parse::<RepoUrl>().as_ref(), Ok(&url), "the normal form is one");
                let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                let authority = rest.expect("a web URL").split(['/', '?', '#']).next().unwrap();
                assert!(!authority.is_empty() && !authority.contains('@'), "{text}");
                assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
                if nobody.check_url(&url).is_ok() {
                    assert!(text.starts_with("https://"), "{text}");
                    match url.host() {
                        Host::Ipv4(address) => assert!(is_public(address.into()), "{text}"),
                        Host::Ipv6(address) => assert!(is_public(address.into()), "{text}"),
                        Host::Domain(name) => assert!(name.parse::<IpAddr>().is_err(), "{text}"),
                    }
                }
            },
        );
    }
}
