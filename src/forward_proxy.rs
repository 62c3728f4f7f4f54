//! What the proxies of the server have in common: a CONNECT becomes a tunnel, a plain http request is handed on, and a
//! [`Gate`] says for each whether there is a connection for it, and hears how much it brings.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{HOST, HeaderValue},
    http::uri::{Authority, Scheme},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::{io::InspectReader, sync::CancellationToken, task::TaskTracker};
use url::Host;

/// The policy of one proxy.
pub(crate) trait Gate: Send + Sync + 'static {
    /// Connects to where the request wants to go, or says why not.
    fn open(&self, asked: &Asked) -> impl Future<Output = Result<TcpStream, Box<Answer>>> + Send;

    /// Hears of every piece that a connection it opened brings.
    fn received(&self, _bytes: u64) {}

    /// Hears how much a connection has brought, when it is over.
    fn brought(&self, _from: &Target, _bytes: u64) {}
}

/// A host and a port.
pub(crate) type Target = (Host, u16);

/// What is known of a request before it goes anywhere.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// As it was written.
    pub(crate) authority: Option<Authority>,
    /// The same, parsed once: what is judged is what is connected. None when this is no request for a proxy.
    pub(crate) target: Option<Target>,
}

pub(crate) type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Where clients come from.
pub(crate) trait Door: Send + 'static {
    type Client: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Client>> + Send;
}

impl Door for TcpListener {
    type Client = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

impl Door for UnixListener {
    type Client = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

const MAX_CONNECTIONS: usize = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Opened once the client has read the answer to its CONNECT.
type Tunnel = OnceLock<(OnUpgrade, Upstream)>;
/// With an ear that counts.
type Upstream = InspectReader<TcpStream, Box<dyn FnMut(&[u8]) + Send + Sync>>;

/// What all connections of a proxy share.
struct Proxy<G> {
    gate: Arc<G>,
    closed: CancellationToken,
    /// Everything that works for it.
    work: TaskTracker,
}

/// Serves until `closed` is cancelled, which cuts every connection too. Nothing is left of it once the tracker is empty.
pub(crate) fn start<G: Gate>(door: impl Door, gate: Arc<G>, closed: CancellationToken) -> TaskTracker {
    let work = TaskTracker::new();
    let proxy = Arc::new(Proxy { gate, closed, work: work.clone() });
    let accepting = accept(door, proxy.clone());
    work.spawn(proxy.closed.clone().run_until_cancelled_owned(accepting));
    work.close();
    work
}

async fn accept<G: Gate>(door: impl Door, proxy: Arc<Proxy<G>>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = places.clone().acquire_owned().await {
        match door.next().await {
            Ok(client) => {
                let serving = serve(client, proxy.clone());
                let closed = proxy.closed.clone();
                proxy.work.spawn(async move {
                    closed.run_until_cancelled_owned(serving).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a proxy cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<G: Gate>(client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, proxy: Arc<Proxy<G>>) {
    let tunnel = Arc::new(Tunnel::new());
    let service = service_fn(|request| {
        let (proxy, tunnel) = (proxy.clone(), tunnel.clone());
        async move { Ok::<_, Infallible>(respond(request, &proxy, &tunnel).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .serve_connection(TokioIo::new(client), service)
        .with_upgrades();
    // A connection that breaks off is the client's to report.
    let _ = connection.await;
    if let Some((upgrade, mut upstream)) = Arc::into_inner(tunnel).and_then(OnceLock::into_inner)
        && let Ok(client) = upgrade.await
    {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut upstream).await;
    }
}

async fn respond<G: Gate>(request: Request<Incoming>, proxy: &Proxy<G>, tunnel: &Tunnel) -> Answer {
    let asked = Asked {
        method: request.method().clone(),
        headers: request.headers().clone(),
        authority: request.uri().authority().cloned(),
        target: target(&request),
    };
    let upstream = match proxy.gate.open(&asked).await {
        Ok(upstream) => counted(upstream, proxy.gate.clone(), asked.target),
        Err(refusal) => return *refusal,
    };
    if asked.method == Method::CONNECT {
        let _ = tunnel.set((hyper::upgrade::on(request), upstream));
        return answer(StatusCode::OK, "");
    }
    match proxy.forward(request, asked.authority, upstream).await {
        Ok(response) => response.map(BodyExt::boxed),
        Err(error) => answer(StatusCode::BAD_GATEWAY, &error.to_string()),
    }
}

fn counted<G: Gate>(upstream: TcpStream, gate: Arc<G>, target: Option<Target>) -> Upstream {
    let mut meter = Meter { gate, target, bytes: 0 };
    let count = move |bytes: &[u8]| {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        meter.bytes = meter.bytes.saturating_add(more);
        meter.gate.received(more);
    };
    InspectReader::new(upstream, Box::new(count))
}

/// Goes with its connection.
struct Meter<G: Gate> {
    gate: Arc<G>,
    target: Option<Target>,
    bytes: u64,
}

impl<G: Gate> Drop for Meter<G> {
    fn drop(&mut self) {
        if let Some(target) = &self.target {
            self.gate.brought(target, self.bytes);
        }
    }
}

fn target(request: &Request<Incoming>) -> Option<Target> {
    let authority = request.uri().authority()?;
    let default_port = match request.uri().scheme() {
        None if request.method() == Method::CONNECT => None,
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        _ => return None,
    };
    Some((Host::parse(authority.host()).ok()?, authority.port_u16().or(default_port)?))
}

impl<G> Proxy<G> {
    /// As the server expects it: with a path for a target, the host that was judged, and no word for the proxy.
    async fn forward(
        &self,
        mut request: Request<Incoming>,
        authority: Option<Authority>,
        upstream: Upstream,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let headers = request.headers_mut();
        for name in ["proxy-authorization", "proxy-connection", "connection", "keep-alive", "upgrade"] {
            headers.remove(name);
        }
        if let Some(host) = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
            headers.insert(HOST, host);
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(upstream)).await?;
        self.work.spawn(self.closed.clone().run_until_cancelled_owned(connection));
        let mut response = sender.send_request(request).await?;
        for name in ["connection", "keep-alive", "upgrade"] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }
}

/// A CONNECT that succeeds has no body at all.
pub(crate) fn answer(status: StatusCode, text: &str) -> Answer {
    let body = match text {
        "" => Empty::new().map_err(|never| match never {}).boxed(),
        text => Full::from(format!("{text}\n")).map_err(|never| match never {}).boxed(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
