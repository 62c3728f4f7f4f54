//! Which hosts a proxy lets through: a name, or every name beneath one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

/// `host`, `*.host` (names beneath it, not itself), an IP address; each with `:port` or for 80 and 443.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HostPattern {
    host: Host,
    beneath: bool,
    port: Option<u16>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no host: write example.org, *.example.org or example.org:8443")]
pub(crate) struct NotAPattern(String);

impl HostPattern {
    /// `host` as it was parsed for the connection: the same words are judged and dialled.
    pub(crate) fn covers(&self, host: &Host, port: u16) -> bool {
        let right_port = self.port.map_or(matches!(port, 80 | 443), |own| own == port);
        right_port
            && match (&self.host, host, self.beneath) {
                (Host::Domain(own), Host::Domain(name), true) => {
                    name.strip_suffix(own.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                (own, host, _) => own == host,
            }
    }
}

impl FromStr for HostPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let wrong = || NotAPattern(text.to_owned());
        let (rest, beneath) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (rest, None),
        };
        match Host::parse(host).map_err(|_| wrong())? {
            Host::Domain(name) if name.is_empty() || name.contains('*') || name.ends_with('.') => Err(wrong()),
            host @ Host::Domain(_) => Ok(Self { host, beneath, port }),
            host if !beneath => Ok(Self { host, beneath, port }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = NotAPattern;

    fn try_from(text: String) -> Result<Self, NotAPattern> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.beneath { "*." } else { "" };
        write!(formatter, "{star}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, host: &str, port: u16) -> bool {
        pattern.parse::<HostPattern>().unwrap().covers(&Host::parse(host).unwrap(), port)
    }

    #[test]
    fn a_pattern_covers_what_it_says_and_nothing_that_looks_like_it() {
        assert!(covers("example.org", "EXAMPLE.org", 443) && covers("example.org", "example.org", 80));
        assert!(covers("*.example.org", "a.b.example.org", 443));
        assert!(covers("example.org:8443", "example.org", 8443) && covers("127.0.0.1:8", "127.0.0.1", 8));
        for (pattern, host, port) in [
            ("example.org", "example.org", 22),
            ("example.org", "example.org.evil.net", 443),
            ("example.org", "a.example.org", 443),
            ("*.example.org", "example.org", 443),
            ("*.example.org", "notexample.org", 443),
            ("example.org:8443", "example.org", 443),
        ] {
            assert!(!covers(pattern, host, port), "{pattern} {host} {port}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in ["", "*", "*.", "a b", "example.org:", "example.org:x", "*.127.0.0.1", "a.*.org"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }
}
