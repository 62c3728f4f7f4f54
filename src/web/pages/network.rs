//! What a task asked its proxy for, by host, and the lines of `setup.log` that had to do with what was refused.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::terminal;
use crate::{
    artifacts, blocking,
    domain::network_ledger::{HostUse, by_host},
    web::{error::WebError, reading::Reader},
};

/// One host.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = HostUse)]
pub(in crate::web) struct HostView {
    pub(super) host: String,
    pub(super) port: String,
    /// Requests that were let through.
    pub(super) let_through: u64,
    /// Requests that were refused.
    pub(super) refused: u64,
    /// What came back.
    pub(super) bytes: u64,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// What to add to `allow_hosts` to have it let through, when that is all it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    /// The lines of setup.log that had to do with it, each as `NUMBER: TEXT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) asked_by: Vec<String>,
}

/// More are in the log.
const MAX_HOSTS: usize = 200;
const MAX_LEDGER_BYTES: u64 = 2 * 1024 * 1024;
const MAX_SETUP_BYTES: u64 = 4 * 1024 * 1024;
const MAX_LINE_CHARS: usize = 300;

pub(in crate::web) async fn read(folder: PathBuf, reader: Reader) -> Result<Vec<HostView>, WebError> {
    let read = blocking::run(move || {
        let mut hosts = by_host(&head(&folder, "network.log", MAX_LEDGER_BYTES)?);
        hosts.truncate(MAX_HOSTS);
        let was_refused = hosts.iter().any(|host| host.at_line.is_some());
        let log = if was_refused { head(&folder, "setup.log", MAX_SETUP_BYTES)? } else { String::new() };
        let log = terminal::plain(&reader.text(&log));
        let lines: Vec<&str> = log.lines().collect();
        Ok::<_, io::Error>(hosts.into_iter().map(|host| HostView::new(&host, &lines)).collect())
    });
    Ok(read.await??)
}

impl HostView {
    fn new(used: &HostUse, log: &[&str]) -> Self {
        Self {
            host: used.host().to_owned(),
            port: used.port().to_owned(),
            let_through: used.let_through,
            refused: used.refused,
            bytes: used.bytes,
            reason: used.reason.clone(),
            pattern: used.is_unlisted().then(|| used.pattern().to_owned()),
            asked_by: used.at_line.map(|line| asked_by(used.host(), line, log)).unwrap_or_default(),
        }
    }
}

/// What was written last when it was refused, and the first line that names the host.
fn asked_by(host: &str, at_line: u64, log: &[&str]) -> Vec<String> {
    let numbered = || (1_u64..).zip(log).filter(|(_, line)| !line.trim().is_empty());
    let before = numbered().take_while(|(number, _)| *number <= at_line).last();
    let named = numbered().find(|(_, line)| line.contains(host));
    let lines: BTreeMap<_, _> = before.into_iter().chain(named).collect();
    let show = |(number, line): (u64, &&str)| {
        format!("{number}: {}", line.trim().chars().take(MAX_LINE_CHARS).collect::<String>())
    };
    lines.into_iter().map(show).collect()
}

/// The start of a file; empty when there is none.
fn head(folder: &Path, name: &str, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(file) = artifacts::open(folder, name)? {
        file.take(most).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_host_is_led_back_to_a_line() {
        let log = ["+ pip install leap", "", "Collecting leap", "error: https://pypi.org/simple/leap: 403"];
        let both = ["3: Collecting leap", "4: error: https://pypi.org/simple/leap: 403"];
        assert_eq!(asked_by("pypi.org", 3, &log), both);
        assert_eq!(asked_by("pypi.org", 4, &log), both[1..]);
        assert_eq!(asked_by("files.pythonhosted.org", 2, &log), ["1: + pip install leap"]);
        assert!(asked_by("pypi.org", 1, &[]).is_empty());
    }
}
