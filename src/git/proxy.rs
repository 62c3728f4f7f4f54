//! The only way out for a clone: a proxy on the loopback that resolves, judges and dials for git, so that the address
//! that was checked is the address that is connected, and no redirect leads to another host.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use data_encoding::{BASE64, HEXLOWER};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Host;

use crate::dial::{DialError, Lookup, ask_the_system, connect, resolve};
use crate::domain::address::{AddressError, AddressPolicy};
use crate::domain::source::RepoUrl;
use crate::forward_proxy::{self, Answer, Asked, answer};

/// A running proxy that serves one URL's host and port to whoever knows its credential. Dropping it cuts every
/// connection that goes through it.
#[derive(Debug)]
pub(super) struct CloneProxy {
    gate: Arc<Gate>,
    url: String,
    _running: DropGuard,
}

/// Why the proxy let git down; git itself only sees a status code.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Address(AddressError),
    #[error("the server redirects to {0}; only the host that was asked for is followed: give the final URL")]
    Redirect(String),
    #[error("{host} cannot be resolved: {reason}; check the spelling and the name service of this machine")]
    Unresolved { host: String, reason: String },
    #[error("{host} cannot be reached: {reason}; check the URL and whether this machine may connect there")]
    Unreachable { host: String, reason: String },
    #[error(
        "the server sent more than {limit} bytes; upload a zip of the part that matters, or raise [source] max_unpacked_bytes"
    )]
    TooLarge { limit: u64 },
}

impl From<DialError> for Refusal {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Address(error) => Self::Address(error),
            DialError::Unresolved { host, reason } => Self::Unresolved { host, reason },
            DialError::Unreachable { host, reason } => Self::Unreachable { host, reason },
        }
    }
}

impl CloneProxy {
    /// Listens on a port of the loopback. At most `max_bytes` are received, over all connections together.
    pub(super) async fn start(url: &RepoUrl, policy: AddressPolicy, max_bytes: u64) -> std::io::Result<Self> {
        Self::start_with(url, policy, max_bytes, ask_the_system()).await
    }

    async fn start_with(url: &RepoUrl, policy: AddressPolicy, max_bytes: u64, lookup: Lookup) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let credential = format!("atelier:{}", HEXLOWER.encode(&rand::random::<[u8; 16]>()));
        let gate = Arc::new(Gate {
            host: url.host().to_owned(),
            port: url.port(),
            authorization: format!("Basic {}", BASE64.encode(credential.as_bytes())),
            policy,
            max_bytes,
            lookup,
            addresses: OnceCell::new(),
            received: AtomicU64::new(0),
            refusal: OnceLock::new(),
            closed: CancellationToken::new(),
        });
        let running = gate.closed.clone().drop_guard();
        forward_proxy::start(listener, Arc::clone(&gate), gate.closed.clone());
        Ok(Self { gate, url: format!("http://{credential}@127.0.0.1:{port}"), _running: running })
    }

    /// The value for `http_proxy` and `https_proxy`. It holds the credential: for an environment, never for an argv.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.gate.received.load(Ordering::Relaxed)
    }

    /// The first thing that was refused or failed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.gate.refusal.get().cloned()
    }
}

/// What all connections share.
struct Gate {
    host: Host,
    port: u16,
    /// The header that a client has to send; other users of this machine can reach the port but do not know it.
    authorization: String,
    policy: AddressPolicy,
    max_bytes: u64,
    lookup: Lookup,
    /// Resolved and judged once: a name that changes its mind between two requests changes nothing here.
    addresses: OnceCell<Vec<SocketAddr>>,
    received: AtomicU64,
    refusal: OnceLock<Refusal>,
    closed: CancellationToken,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Gate").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl forward_proxy::Gate for Gate {
    async fn open(&self, asked: &Asked) -> Result<TcpStream, Box<Answer>> {
        if !self.knows_the_credential(&asked.headers) {
            let mut response = answer(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "this proxy is not for you");
            response.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic"));
            return Err(Box::new(response));
        }
        self.dial(asked).await.map_err(|refusal| {
            let response = answer(StatusCode::FORBIDDEN, &refusal.to_string());
            // Only the first is kept: what follows it is git trying again.
            let _ = self.refusal.set(refusal);
            Box::new(response)
        })
    }

    /// One byte too many, over all connections, and all of them are cut.
    fn received(&self, bytes: u64) {
        if self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.max_bytes {
            let _ = self.refusal.set(Refusal::TooLarge { limit: self.max_bytes });
            self.closed.cancel();
        }
    }
}

impl Gate {
    fn knows_the_credential(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(PROXY_AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        given.ct_eq(self.authorization.as_bytes()).into()
    }

    /// Connects to the one host of this proxy, if that is what the request is for.
    async fn dial(&self, asked: &Asked) -> Result<TcpStream, Refusal> {
        if !asked.target.as_ref().is_some_and(|(host, port)| *host == self.host && *port == self.port) {
            let elsewhere = asked.authority.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
            return Err(Refusal::Redirect(elsewhere));
        }
        let addresses =
            self.addresses.get_or_try_init(|| resolve(&self.host, self.port, &self.policy, &self.lookup)).await?;
        Ok(connect(&self.host, addresses).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(proxy: &CloneProxy, request: &str) -> (String, TcpStream) {
        let address = proxy.url().rsplit('@').next().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 512];
        let read = stream.read(&mut answer).await.unwrap();
        (String::from_utf8_lossy(&answer[..read]).lines().next().unwrap().to_owned(), stream)
    }

    #[tokio::test]
    async fn a_tunnel_opens_for_the_one_host_and_those_who_know_the_credential() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        let url = format!("https://{target}/r.git").parse().unwrap();
        let policy = AddressPolicy::parse(&["127.0.0.1".to_owned()]).unwrap();
        let proxy = CloneProxy::start(&url, policy, 8).await.unwrap();
        let login = format!("Proxy-Authorization: {}\r\n", proxy.gate.authorization);

        let (status, _) = ask(&proxy, &format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(status, "HTTP/1.1 407 Proxy Authentication Required");
        let (status, _) = ask(&proxy, &format!("CONNECT 127.0.0.1:1 HTTP/1.1\r\n{login}\r\n")).await;
        assert_eq!(status, "HTTP/1.1 403 Forbidden");
        assert!(matches!(proxy.refusal(), Some(Refusal::Redirect(to)) if to == "127.0.0.1:1"));

        let (status, mut tunnel) = ask(&proxy, &format!("CONNECT {target} HTTP/1.1\r\n{login}\r\n")).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        let mut echo = [0; 5];
        tunnel.write_all(b"hello").await.unwrap();
        tunnel.read_exact(&mut echo).await.unwrap();
        assert_eq!((&echo, proxy.received()), (b"hello", 5));
        tunnel.write_all(b"hello").await.unwrap();
        let _ = tunnel.read_to_end(&mut Vec::new()).await;
        assert!(proxy.gate.closed.is_cancelled(), "the ninth byte cuts the connection");
    }

    /// A name service that says something else each time it is asked: first an address that may be talked to, then one
    /// of the machine itself.
    #[tokio::test]
    async fn r18_a_name_that_changes_its_mind_changes_nothing() {
        let wanted = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = wanted.local_addr().unwrap().port();
        let canary = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("https://git.example.org:{port}/r.git").parse().unwrap();
        for (answers, is_connected) in [(["127.0.0.2", "127.0.0.1"], true), (["127.0.0.1", "127.0.0.2"], false)] {
            let asked = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&asked);
            let lookup: Lookup = Box::new(move |host, port| {
                assert_eq!(host, "git.example.org");
                let number = usize::try_from(counter.fetch_add(1, Ordering::Relaxed)).unwrap();
                let answer = answers[number.min(1)].parse().unwrap();
                Box::pin(async move { Ok(vec![SocketAddr::new(answer, port)]) })
            });
            let policy = AddressPolicy::parse(&["127.0.0.2".to_owned()]).unwrap();
            let proxy = CloneProxy::start_with(&url, policy, 1000, lookup).await.unwrap();
            let connect = format!(
                "CONNECT git.example.org:{port} HTTP/1.1\r\nProxy-Authorization: {}\r\n\r\n",
                proxy.gate.authorization
            );
            for _ in 0..3 {
                let (status, _) = ask(&proxy, &connect).await;
                let is_refused = status == "HTTP/1.1 403 Forbidden";
                assert_eq!((status == "HTTP/1.1 200 OK", is_refused), (is_connected, !is_connected), "{status}");
                if is_refused {
                    assert!(matches!(proxy.refusal(), Some(Refusal::Address(_))), "{:?}", proxy.refusal());
                    break;
                }
            }
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
        let hit = tokio::time::timeout(Duration::from_millis(100), canary.accept()).await;
        assert!(hit.is_err(), "somebody connected");
    }
}
