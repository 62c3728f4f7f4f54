//! The only way out of a container whose setup has a proxy in place of a network: an HTTP proxy on a socket in the task's
//! run directory. Hosts are let through by name, addresses are judged when they are connected, and everybody who asked is
//! written down.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::StatusCode;
use tokio::net::{TcpStream, UnixListener};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Host;

use crate::{
    dial::dial,
    domain::{address::AddressPolicy, host_pattern::HostPattern},
    forward_proxy::{self, Answer, Asked, Target, answer},
};

/// A running proxy. Dropping it cuts every connection that goes through it, and takes the socket away.
#[derive(Debug)]
pub(crate) struct ExitProxy {
    socket: PathBuf,
    _running: DropGuard,
}

/// What it lets through.
#[derive(Debug, Clone)]
pub(crate) struct ExitRules {
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) addresses: AddressPolicy,
}

/// One request, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExitEntry {
    LetThrough { method: String, target: String },
    Refused { method: String, target: String, reason: String },
}

type Ledger = Box<dyn Fn(ExitEntry) + Send + Sync>;

struct Gate {
    rules: ExitRules,
    ledger: Ledger,
}

impl ExitProxy {
    /// Listens on `socket`, which everybody who comes this far may connect to.
    pub(crate) fn start(
        socket: &Path,
        rules: ExitRules,
        ledger: impl Fn(ExitEntry) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, Permissions::from_mode(0o666))?;
        let closed = CancellationToken::new();
        let gate = Arc::new(Gate { rules, ledger: Box::new(ledger) });
        forward_proxy::start(listener, gate, closed.clone());
        Ok(Self { socket: socket.to_owned(), _running: closed.drop_guard() })
    }
}

impl Drop for ExitProxy {
    fn drop(&mut self) {
        // What is left of it answers nobody.
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl forward_proxy::Gate for Gate {
    async fn open(&self, asked: &Asked) -> Result<TcpStream, Box<Answer>> {
        let Some((host, port)) = &asked.target else {
            return Err(Box::new(answer(StatusCode::BAD_REQUEST, "this is a proxy for http and https")));
        };
        let (method, target) = (asked.method.to_string(), format!("{host}:{port}"));
        match self.connect(host, *port).await {
            Ok(upstream) => {
                (self.ledger)(ExitEntry::LetThrough { method, target });
                Ok(upstream)
            }
            Err(reason) => {
                let text = format!("{target} is refused: {reason}");
                (self.ledger)(ExitEntry::Refused { method, target, reason });
                Err(Box::new(answer(StatusCode::FORBIDDEN, &text)))
            }
        }
    }

    fn received(&self, _: &Target, _: u64) {}
}

impl Gate {
    /// An empty list lets nothing through.
    async fn connect(&self, host: &Host, port: u16) -> Result<TcpStream, String> {
        if !self.rules.hosts.iter().any(|pattern| pattern.covers(host, port)) {
            return Err("it is not in [sandbox] proxy_allow".to_owned());
        }
        dial(host, port, &self.rules.addresses).await.map_err(|error| error.to_string())
    }
}
