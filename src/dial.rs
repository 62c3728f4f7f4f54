//! Connecting on behalf of a task: a name is resolved once, every address is judged, and the one that was judged is the one
//! that is connected.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
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

/// The name service: a host and a port to its addresses.
pub(crate) type Lookup = Box<dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// For each address: a family that leads nowhere must not use up the time of the other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The system asks its name server again after 5 s, for a packet may get lost.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(12);

pub(crate) fn ask_the_system() -> Lookup {
    Box::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// To the first of the addresses that answers.
pub(crate) async fn connect(host: &Host, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut reason = String::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => reason = error.to_string(),
            Err(_) => reason = no_answer(CONNECT_TIMEOUT),
        }
    }
    Err(DialError::Unreachable { host: host.to_string(), reason })
}

/// The addresses that may be talked to; an error when there are none.
pub(crate) async fn resolve(
    host: &Host,
    port: u16,
    policy: &AddressPolicy,
    lookup: &Lookup,
) -> Result<Vec<SocketAddr>, DialError> {
    let unresolved = |reason: String| DialError::Unresolved { host: host.to_string(), reason };
    let (found, borrowed): (Vec<SocketAddr>, Host<&str>) = match host {
        Host::Ipv4(address) => (vec![(*address, port).into()], Host::Ipv4(*address)),
        Host::Ipv6(address) => (vec![(*address, port).into()], Host::Ipv6(*address)),
        Host::Domain(name) => {
            let found = tokio::time::timeout(LOOKUP_TIMEOUT, lookup(name.clone(), port)).await;
            let found = found.map_err(|_| unresolved(no_answer(LOOKUP_TIMEOUT)))?;
            (found.map_err(|error| unresolved(error.to_string()))?, Host::Domain(name))
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
        _ if permitted.is_empty() => Err(unresolved("it has no address".to_owned())),
        _ => Ok(permitted),
    }
}

fn no_answer(waited: Duration) -> String {
    format!("no answer for {} s", waited.as_secs())
}
