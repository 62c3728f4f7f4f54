//! The only way out of a container whose setup has a proxy in place of a network: an HTTP proxy on a socket in the task's
//! run directory. Hosts are let through by name, addresses are judged when they are connected, and everybody who asked is
//! written down.

use std::{
    collections::HashMap,
    fs::Permissions,
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::StatusCode;
use tokio::net::{TcpStream, UnixListener};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use url::Host;

use crate::{
    dial::{self, DialError, Lookup, ask_the_system},
    domain::{
        address::AddressPolicy,
        host_rule::{HostRule, Verdict, judge},
        network_ledger::{LedgerEntry, NOT_LISTED},
    },
    forward_proxy::{self, Answer, Asked, Target, answer},
};

/// A running proxy. Dropping it cuts every connection that goes through it, and takes the socket away.
#[derive(Debug)]
pub(crate) struct ExitProxy {
    socket: PathBuf,
    running: DropGuard,
    work: TaskTracker,
}

/// What it lets through.
#[derive(Debug, Clone)]
pub(crate) struct ExitRules {
    pub(crate) hosts: Vec<HostRule>,
    pub(crate) addresses: AddressPolicy,
}

type Ledger = Box<dyn Fn(LedgerEntry) + Send + Sync>;

struct Gate {
    rules: ExitRules,
    ledger: Ledger,
    lookup: Lookup,
    /// What was resolved and judged lately: a package manager asks for one host hundreds of times.
    known: Mutex<HashMap<Target, Known>>,
}

struct Known {
    until: Instant,
    addresses: Vec<SocketAddr>,
}

const REMEMBERED: Duration = Duration::from_mins(1);

/// Why there is no connection.
enum NoWay {
    /// The rules are against it.
    Forbidden(String),
    /// They are not, but nobody answers.
    Unreachable(String),
}

impl ExitProxy {
    /// Listens on `socket`, which everybody who comes this far may connect to. Who reads the ledger knows what was being
    /// written at the time.
    pub(crate) fn start(
        socket: &Path,
        rules: ExitRules,
        ledger: impl Fn(LedgerEntry) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, Permissions::from_mode(0o666))?;
        let closed = CancellationToken::new();
        let gate =
            Arc::new(Gate { rules, ledger: Box::new(ledger), lookup: ask_the_system(), known: Mutex::default() });
        let work = forward_proxy::start(listener, gate, closed.clone());
        Ok(Self { socket: socket.to_owned(), running: closed.drop_guard(), work })
    }

    /// Cuts every connection; the ledger has heard of all of them then.
    pub(crate) async fn close(self) {
        self.running.token().cancel();
        self.work.wait().await;
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
        match self.connect(host, *port, &method).await {
            Ok(upstream) => {
                (self.ledger)(LedgerEntry::LetThrough { method, target });
                Ok(upstream)
            }
            Err(no_way) => {
                let (status, reason) = match no_way {
                    NoWay::Forbidden(reason) => (StatusCode::FORBIDDEN, reason),
                    NoWay::Unreachable(reason) => (StatusCode::BAD_GATEWAY, reason),
                };
                let text = format!("{target} is refused: {reason}");
                (self.ledger)(LedgerEntry::Refused { method, target, reason, at_line: None });
                Err(Box::new(answer(status, &text)))
            }
        }
    }

    fn brought(&self, (host, port): &Target, bytes: u64) {
        (self.ledger)(LedgerEntry::Brought { target: format!("{host}:{port}"), bytes });
    }
}

impl Gate {
    async fn connect(&self, host: &Host, port: u16, method: &str) -> Result<TcpStream, NoWay> {
        match judge(&self.rules.hosts, host, port, method) {
            Verdict::Allowed => {}
            Verdict::NotListed => return Err(NoWay::Forbidden(NOT_LISTED.to_owned())),
            Verdict::NotThisMethod(listed) => {
                return Err(NoWay::Forbidden(format!(
                    "[sandbox] proxy_allow lists it for {listed} only, and https is CONNECT"
                )));
            }
        }
        let addresses = self.addresses(host, port).await?;
        Ok(dial::connect(host, &addresses).await?)
    }

    async fn addresses(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let target = (host.clone(), port);
        if let Some(known) = self.known().get(&target).filter(|known| known.until > Instant::now()) {
            return Ok(known.addresses.clone());
        }
        let addresses = dial::resolve(host, port, &self.rules.addresses, &self.lookup).await?;
        self.known().insert(target, Known { until: Instant::now() + REMEMBERED, addresses: addresses.clone() });
        Ok(addresses)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Target, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<DialError> for NoWay {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Address(_) => Self::Forbidden(error.to_string()),
            DialError::Unresolved { .. } | DialError::Unreachable { .. } => Self::Unreachable(error.to_string()),
        }
    }
}
