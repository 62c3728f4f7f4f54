//! Connecting on behalf of a task: a name is resolved once, every address is judged, and the one that was judged is the one
//! that is connected.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use url::Host;

use crate::domain::address::{AddressError, AddressPolicy};

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Address(AddressError),
    #[error("{host} cannot be resolved: {reason}")]
    Unresolved { host: String, reason: String },
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
}

/// For the name service, and for each address.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn dial(host: &Host, port: u16, policy: &AddressPolicy) -> Result<TcpStream, DialError> {
    let mut reason = "it has no address".to_owned();
    for address in resolve(host, port, policy).await? {
        match tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => reason = error.to_string(),
            Err(_) => reason = format!("no answer for {} s", TIMEOUT.as_secs()),
        }
    }
    Err(DialError::Unreachable { host: host.to_string(), reason })
}

/// The addresses that may be talked to; an error when there are none but others.
async fn resolve(host: &Host, port: u16, policy: &AddressPolicy) -> Result<Vec<SocketAddr>, DialError> {
    let unresolved = |reason: String| DialError::Unresolved { host: host.to_string(), reason };
    let (found, borrowed): (Vec<SocketAddr>, Host<&str>) = match host {
        Host::Ipv4(address) => (vec![(*address, port).into()], Host::Ipv4(*address)),
        Host::Ipv6(address) => (vec![(*address, port).into()], Host::Ipv6(*address)),
        Host::Domain(name) => {
            let lookup = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name.as_str(), port)));
            let found = lookup.await.map_err(|_| unresolved(format!("no answer for {} s", TIMEOUT.as_secs())))?;
            (found.map_err(|error| unresolved(error.to_string()))?.collect(), Host::Domain(name))
        }
    };
    let mut refused = None;
    let mut permitted = Vec::with_capacity(found.len());
    for address in found {
        match policy.permits(&borrowed, port, address.ip()) {
            Ok(()) => permitted.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if permitted.is_empty() => Err(DialError::Address(error)),
        _ => Ok(permitted),
    }
}
