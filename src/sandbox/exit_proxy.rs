//! The only way out of a container whose setup has a proxy in place of a network: an HTTP proxy on a socket in the task's
//! run directory. Hosts are let through by name, addresses are judged when they are connected, and everybody who asked is
//! written down.

use std::{
    convert::Infallible,
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{HOST, HeaderValue},
    http::uri::Scheme,
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Host;

use crate::{
    dial::dial,
    domain::{address::AddressPolicy, host_pattern::HostPattern},
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
type Body = BoxBody<Bytes, hyper::Error>;
/// Opened once the client has read the answer to its CONNECT.
type Tunnel = OnceLock<(OnUpgrade, TcpStream)>;

struct Gate {
    rules: ExitRules,
    ledger: Ledger,
    closed: CancellationToken,
}

const MAX_CONNECTIONS: usize = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
        let gate = Arc::new(Gate { rules, ledger: Box::new(ledger), closed: closed.clone() });
        tokio::spawn(closed.clone().run_until_cancelled_owned(accept(listener, gate)));
        Ok(Self { socket: socket.to_owned(), _running: closed.drop_guard() })
    }
}

impl Drop for ExitProxy {
    fn drop(&mut self) {
        // What is left of it answers nobody.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn accept(listener: UnixListener, gate: Arc<Gate>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((client, _)) => {
                let (closed, gate) = (gate.closed.clone(), gate.clone());
                tokio::spawn(async move {
                    closed.run_until_cancelled_owned(serve(client, gate)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the proxy of a setup cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(client: UnixStream, gate: Arc<Gate>) {
    let tunnel = Arc::new(Tunnel::new());
    let service = service_fn(|request| {
        let (gate, tunnel) = (gate.clone(), tunnel.clone());
        async move { Ok::<_, Infallible>(gate.answer(request, &tunnel).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    // A connection that breaks off is the client's to report.
    let _ = connection.await;
    let opened = tunnel.get().is_some();
    if opened
        && let Some((upgrade, mut upstream)) = Arc::into_inner(tunnel).and_then(OnceLock::into_inner)
        && let Ok(client) = upgrade.await
    {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut upstream).await;
    }
}

impl Gate {
    async fn answer(&self, request: Request<Incoming>, tunnel: &Tunnel) -> Response<Body> {
        let method = request.method().to_string();
        let Some((host, port)) = target(&request) else {
            return answer(StatusCode::BAD_REQUEST, "this is a proxy for http and https");
        };
        let target = format!("{host}:{port}");
        let outcome = self.connect(&host, port).await;
        let upstream = match outcome {
            Ok(upstream) => upstream,
            Err(reason) => {
                let text = format!("{target} is refused: {reason}");
                (self.ledger)(ExitEntry::Refused { method, target, reason });
                return answer(StatusCode::FORBIDDEN, &text);
            }
        };
        (self.ledger)(ExitEntry::LetThrough { method, target });
        if request.method() == Method::CONNECT {
            let _ = tunnel.set((hyper::upgrade::on(request), upstream));
            return answer(StatusCode::OK, "");
        }
        match self.forward(request, upstream).await {
            Ok(response) => response.map(BodyExt::boxed),
            Err(error) => answer(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    /// An empty list lets nothing through.
    async fn connect(&self, host: &Host, port: u16) -> Result<TcpStream, String> {
        if !self.rules.hosts.iter().any(|pattern| pattern.covers(host, port)) {
            return Err("it is not in [sandbox] proxy_allow".to_owned());
        }
        dial(host, port, &self.rules.addresses).await.map_err(|error| error.to_string())
    }

    /// As the server expects it: with a path for a target, the host that was judged, and no word for the proxy.
    async fn forward(
        &self,
        mut request: Request<Incoming>,
        upstream: TcpStream,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let authority = request.uri().authority().and_then(|asked| HeaderValue::from_str(asked.as_str()).ok());
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let headers = request.headers_mut();
        for name in ["proxy-authorization", "proxy-connection", "connection", "keep-alive", "upgrade"] {
            headers.remove(name);
        }
        if let Some(authority) = authority {
            headers.insert(HOST, authority);
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(upstream)).await?;
        tokio::spawn(self.closed.clone().run_until_cancelled_owned(connection));
        let mut response = sender.send_request(request).await?;
        for name in ["connection", "keep-alive", "upgrade"] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }
}

/// Parsed once, for the judging and for the connection.
fn target(request: &Request<Incoming>) -> Option<(Host, u16)> {
    let authority = request.uri().authority()?;
    let default_port = match request.uri().scheme() {
        None if request.method() == Method::CONNECT => None,
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        _ => return None,
    };
    Some((Host::parse(authority.host()).ok()?, authority.port_u16().or(default_port)?))
}

fn answer(status: StatusCode, text: &str) -> Response<Body> {
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}
