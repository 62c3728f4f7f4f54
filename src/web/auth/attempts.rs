//! How often somebody failed of late: logins by the address they came from and by the name they were for, links that nobody made
//! by the address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::web::{error::WebError, extract::PeerAddress};

const WINDOW: Duration = Duration::from_mins(1);
/// Beyond that many the oldest failures are forgotten: memory stays bounded under a flood.
const MAX_SOURCES: usize = 10_000;

#[derive(Debug)]
pub(in crate::web) struct Attempts {
    most: usize,
    failures: Mutex<HashMap<Source, Vec<Instant>>>,
}

/// What is held to a number of tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::web) enum Source {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

impl Attempts {
    /// Permits so many failures a minute.
    pub(in crate::web) fn at_most(most: usize) -> Self {
        Self { most, failures: Mutex::default() }
    }

    pub(in crate::web) fn permit(&self, source: &Source) -> Result<(), WebError> {
        let failures = self.failures();
        let recent = failures.get(source).map_or(0, |times| times.iter().filter(|at| is_recent(at)).count());
        if recent >= self.most { Err(WebError::TooManyTries) } else { Ok(()) }
    }

    pub(in crate::web) fn count_failure(&self, source: &Source) {
        let mut failures = self.failures();
        failures.retain(|_, times| {
            times.retain(is_recent);
            !times.is_empty()
        });
        if failures.len() >= MAX_SOURCES {
            failures.clear();
        }
        failures.entry(source.clone()).or_default().push(Instant::now());
    }

    /// It was none after all. A try that takes time is counted when it begins: many at once are as many as one by one.
    pub(super) fn take_back(&self, source: &Source) {
        if let Some(times) = self.failures().get_mut(source) {
            times.pop();
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Source, Vec<Instant>>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: &Instant) -> bool {
    at.elapsed() < WINDOW
}

impl From<PeerAddress> for Source {
    /// Somebody with IPv6 has a whole /64 to try from.
    fn from(peer: PeerAddress) -> Self {
        Self::Address(match peer.0.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}
