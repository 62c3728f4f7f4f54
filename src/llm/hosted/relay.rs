//! A socket inside this process, with genai at one end and `exchange` at the other.
//!
//! genai offers no place between writing a request and reading the answer, and neither of its own ways to read one will do:
//! - without streaming a body is read whole before anyone can look at its size, and nobody can tell a provider that thinks
//!   from one that hangs;
//! - its streams keep a line of any length in memory and copy it with every piece that comes, take pings for progress,
//!   grow a list to whatever index the provider names, take some broken streams for whole ones, and lose text that came
//!   without streaming after all.
//!
//! So genai writes a plain request to this socket and reads a plain answer from it. What goes over the wire is ours.

use std::{
    convert::Infallible,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use genai::Client;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

/// For one call at a time. Dropping it closes both ends.
pub(super) struct Relay {
    listener: UnixListener,
    client: Client,
}

/// Relays that wait for their next call: making one takes longer than the way through it. There are as many as calls were
/// under way at once; one whose call was broken off is not kept.
#[derive(Default)]
pub(super) struct Relays(Mutex<Vec<Relay>>);

impl Relays {
    pub(super) fn take(&self) -> io::Result<Relay> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        waiting.map_or_else(Relay::open, Ok)
    }

    pub(super) fn give_back(&self, relay: Relay) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(relay);
    }
}

/// What genai thinks it speaks to.
pub(super) const ADDRESS: &str = "http://provider";

impl Relay {
    fn open() -> io::Result<Self> {
        // A name that begins with a zero byte is no file: nothing to clean up, nothing in the way.
        let name = PathBuf::from(format!("\0atelier-{:032x}", rand::random::<u128>()));
        let listener = UnixListener::bind(&name)?;
        Ok(Self { listener, client: client(&name).map_err(io::Error::other)? })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Hands each request of genai to `carry`.
    pub(super) async fn serve<F>(&self, carry: impl Fn(Request<Incoming>) -> F) -> Infallible
    where
        F: Future<Output = Response<Full<Bytes>>>,
    {
        let service = service_fn(async |request| Ok::<_, Infallible>(carry(request).await));
        loop {
            match self.listener.accept().await {
                // The name can be found by other users of the machine.
                Ok((stream, _)) if is_ours(&stream) => {
                    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), &service).await {
                        tracing::debug!(%error, "relay");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the relay's socket");
                    return std::future::pending().await;
                }
            }
        }
    }
}

fn client(name: &Path) -> Result<Client, String> {
    let http = reqwest::Client::builder()
        .unix_socket(name)
        .redirect(reqwest::redirect::Policy::none())
        // The other end listens during a call only.
        .pool_max_idle_per_host(0)
        // It never speaks TLS: loading the authorities of the machine would cost more than the call.
        .tls_certs_only([])
        .no_gzip()
        .build()
        .map_err(|error| error.to_string())?;
    Client::builder().with_reqwest(http).build().map_err(|error| error.to_string())
}

fn is_ours(stream: &UnixStream) -> bool {
    let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
    peer.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id())
}
