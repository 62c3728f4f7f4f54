//! The lines of `network.log`: who asked a proxy for what. Written and read here, so that the two never differ.

use std::{collections::BTreeMap, fmt};

/// One line, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LedgerEntry {
    LetThrough {
        method: String,
        target: String,
    },
    Refused {
        method: String,
        target: String,
        reason: String,
        /// The line of `setup.log` that was being written, counted from 1; none while the agent works.
        at_line: Option<u64>,
    },
    /// A connection that was let through has ended, and brought so much.
    Brought {
        target: String,
        bytes: u64,
    },
}

/// Why what is on no list is refused: the one reason that a longer list takes away.
pub(crate) const NOT_LISTED: &str = "it is not in [sandbox] proxy_allow";

impl fmt::Display for LedgerEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LetThrough { method, target } => write!(formatter, "{method} {target} let through"),
            Self::Refused { method, target, reason, at_line: None } => {
                write!(formatter, "{method} {target} refused: {reason}")
            }
            Self::Refused { method, target, reason, at_line: Some(line) } => {
                write!(formatter, "{method} {target} refused at line {line} of setup.log: {reason}")
            }
            Self::Brought { target, bytes } => write!(formatter, "{target} brought {bytes} bytes"),
        }
    }
}

impl LedgerEntry {
    /// A line of the log; none for what is no entry, such as the gap in a log that grew too long.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (_, text) = line.split_once(' ')?;
        let (first, rest) = text.split_once(' ')?;
        if let Some(bytes) = rest.strip_prefix("brought ") {
            return Some(Self::Brought {
                target: first.to_owned(),
                bytes: bytes.strip_suffix(" bytes")?.parse().ok()?,
            });
        }
        let (method, (target, verdict)) = (first.to_owned(), rest.split_once(' ')?);
        let target = target.to_owned();
        if verdict == "let through" {
            return Some(Self::LetThrough { method, target });
        }
        let (head, reason) = verdict.split_once(": ")?;
        let at_line = match head.strip_prefix("refused")? {
            "" => None,
            place => Some(place.strip_prefix(" at line ")?.strip_suffix(" of setup.log")?.parse().ok()?),
        };
        Some(Self::Refused { method, target, reason: reason.to_owned(), at_line })
    }
}

/// All that a task asked of one host and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostUse {
    /// `host:port`
    pub(crate) target: String,
    pub(crate) let_through: u64,
    pub(crate) refused: u64,
    /// That came back.
    pub(crate) bytes: u64,
    /// Why it was refused last.
    pub(crate) reason: Option<String>,
    /// Of the first refusal.
    pub(crate) at_line: Option<u64>,
}

impl HostUse {
    /// Whether it would be let through if it were on the list.
    pub(crate) fn is_unlisted(&self) -> bool {
        self.reason.as_deref() == Some(NOT_LISTED)
    }

    pub(crate) fn host(&self) -> &str {
        self.target.rsplit_once(':').map_or(&*self.target, |(host, _)| host)
    }

    pub(crate) fn port(&self) -> &str {
        self.target.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// What the list needs for it.
    pub(crate) fn pattern(&self) -> &str {
        if matches!(self.port(), "80" | "443") { self.host() } else { &self.target }
    }
}

/// The log by host: refused ones first, then those that brought most.
pub(crate) fn by_host(log: &str) -> Vec<HostUse> {
    let mut hosts: BTreeMap<String, HostUse> = BTreeMap::new();
    for entry in log.lines().filter_map(LedgerEntry::parse) {
        let (LedgerEntry::LetThrough { target, .. }
        | LedgerEntry::Refused { target, .. }
        | LedgerEntry::Brought { target, .. }) = &entry;
        let host =
            hosts.entry(target.clone()).or_insert_with(|| HostUse { target: target.clone(), ..HostUse::default() });
        match entry {
            LedgerEntry::LetThrough { .. } => host.let_through += 1,
            LedgerEntry::Brought { bytes, .. } => host.bytes = host.bytes.saturating_add(bytes),
            LedgerEntry::Refused { reason, at_line, .. } => {
                host.refused += 1;
                host.reason = Some(reason);
                host.at_line = host.at_line.or(at_line);
            }
        }
    }
    let mut hosts: Vec<HostUse> = hosts.into_values().collect();
    hosts.sort_by_key(|host| (host.refused == 0, std::cmp::Reverse(host.bytes)));
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_summed_up_by_host() {
        let (get, target) = ("GET".to_owned(), "[::1]:80".to_owned());
        let refused = |at_line| LedgerEntry::Refused {
            method: "CONNECT".to_owned(),
            target: "pypi.org:443".to_owned(),
            reason: NOT_LISTED.to_owned(),
            at_line,
        };
        let entries = [
            LedgerEntry::LetThrough { method: get, target: target.clone() },
            LedgerEntry::Brought { target, bytes: 12 },
            refused(Some(3)),
            refused(None),
        ];
        let lines: Vec<String> = entries.iter().map(|entry| format!("2026-01-01T00:00:00.000Z {entry}")).collect();
        let log = lines.join("\n");
        let read: Vec<LedgerEntry> = log.lines().filter_map(LedgerEntry::parse).collect();
        assert_eq!(read, entries);

        let hosts = by_host(&format!("{log}\n[truncated 5 bytes]\n"));
        let [pypi, own] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!((pypi.pattern(), pypi.refused, pypi.at_line), ("pypi.org", 2, Some(3)));
        assert!(pypi.is_unlisted() && !own.is_unlisted());
        assert_eq!((own.host(), own.port(), own.let_through, own.bytes), ("[::1]", "80", 1, 12));
    }
}
