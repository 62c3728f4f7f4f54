//! The listening server and its orderly end.
//!
//! `axum::serve` has no timeout for the head of a request, so a client that sends one byte a minute would hold its
//! connection for ever. Here hyper is driven directly, with that timeout.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{AppState, router::router};
use crate::host;

/// For the head of a request, and for a connection between two of them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The same while more than half of the seats are taken.
const CROWDED_HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// More would only hold memory.
const MAX_CONNECTIONS: usize = 4096;
/// How long requests may go on after the door was closed.
const GRACE: Duration = Duration::from_secs(3);
/// After a failure to accept, such as too many open files: others may close in the meantime.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `closing`, then lets open requests end; what is still open after three seconds is cut. Between the
/// shutdown of `state` and `closing` event streams end, new tasks are refused, and everything else is answered.
pub(crate) async fn serve(listener: TcpListener, state: AppState, closing: CancellationToken) {
    let seats = Seats::new(host::open_file_limit());
    let router = router(state);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &seats) => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer, seat)) => start(stream, peer, seat, router.clone(), &connections),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still open and are cut off");
    }
}

/// Connections take half of the files that may be open, so that tasks and the database always find some.
struct Seats {
    free: Arc<Semaphore>,
    all: usize,
}

/// A connection's place among the others, until it is dropped.
struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
    patience: Duration,
}

impl Seats {
    fn new(open_files: u64) -> Self {
        let all = usize::try_from(open_files / 2).unwrap_or(MAX_CONNECTIONS).clamp(1, MAX_CONNECTIONS);
        Self { free: Arc::new(Semaphore::new(all)), all }
    }

    async fn take(&self) -> Seat {
        // The semaphore is never closed.
        let permit = self.free.clone().acquire_owned().await.ok();
        let is_crowded = self.free.available_permits() < self.all / 2;
        Seat { _permit: permit, patience: if is_crowded { CROWDED_HEAD_TIMEOUT } else { HEAD_TIMEOUT } }
    }
}

async fn accept(listener: &TcpListener, seats: &Seats) -> io::Result<(TcpStream, SocketAddr, Seat)> {
    let seat = seats.take().await;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, seat))
}

/// Serves one connection in the background.
fn start(stream: TcpStream, peer: SocketAddr, seat: Seat, router: Router, connections: &GracefulShutdown) {
    // Small messages of an event stream are not to wait for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seat.patience)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        let _seat = seat;
        // A client that breaks off is everyday.
        if let Err(error) = connection.await {
            tracing::debug!(%error, %peer, "a connection broke off");
        }
    });
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
