//! How often an address gave a wrong token of late.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::web::{error::WebError, extract::PeerAddress};

const MAX_FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_mins(1);
/// Beyond that many addresses the oldest failures are forgotten: memory stays bounded under a flood.
const MAX_ADDRESSES: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: Mutex<HashMap<IpAddr, Vec<Instant>>>,
}

impl Attempts {
    pub(super) fn permit(&self, peer: PeerAddress) -> Result<(), WebError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failures.get(&network(peer.0)).map_or(0, |times| times.iter().filter(|at| is_recent(at)).count());
        if recent >= MAX_FAILURES { Err(WebError::TooManyTries) } else { Ok(()) }
    }

    pub(super) fn count_failure(&self, peer: PeerAddress) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, times| {
            times.retain(is_recent);
            !times.is_empty()
        });
        if failures.len() >= MAX_ADDRESSES {
            failures.clear();
        }
        failures.entry(network(peer.0)).or_default().push(Instant::now());
    }
}

fn is_recent(at: &Instant) -> bool {
    at.elapsed() < WINDOW
}

/// Somebody with IPv6 has a whole /64 to try from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
