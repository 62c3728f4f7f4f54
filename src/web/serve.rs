//! The listening server and its orderly end.
//!
//! `axum::serve` has no timeout for the head of a request, so a client that sends one byte a minute would hold its
//! connection for ever. Here hyper is driven directly, with that timeout.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use super::{AppState, router::router};

/// For the head of a request, and for a connection between two of them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests may go on after the shutdown began.
const GRACE: Duration = Duration::from_secs(10);
/// After a failure to accept, such as too many open files: others may close in the meantime.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until the shutdown of `state` begins, then lets open requests end. Event streams end by themselves; whatever
/// else is still open after ten seconds is cut.
pub(crate) async fn serve(listener: TcpListener, state: AppState) -> io::Result<()> {
    let shutdown = state.shutdown.clone();
    let router = router(state);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => start(stream, peer, router.clone(), &connections),
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
    Ok(())
}

/// Serves one connection in the background.
fn start(stream: TcpStream, peer: SocketAddr, router: Router, connections: &GracefulShutdown) {
    // Small messages of an event stream are not to wait for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
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
