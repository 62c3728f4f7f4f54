//! Time limits: for the answer, and for a request body that trickles in.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream, HttpBody},
    extract::{Request, State},
    http::{Method, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::error::WebError;

/// Longer than the database waits for a lock that another program holds.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// What a body has to bring for every time that the server is patient with it.
const MIN_BYTES: usize = 4096;

/// Ends a request that has no answer after a minute. Streams have begun to answer by then; uploads have their pace.
pub(super) async fn limit_time(request: Request, next: Next) -> Response {
    let is_upload = request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    if is_upload {
        return next.run(request).await;
    }
    timeout(ANSWER_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| WebError::Timeout.into_response())
}

/// Ends a request whose body does not come. The handler is dropped, and cleans up, wherever it waits for the body.
pub(super) async fn require_pace(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (slow, is_slow) = oneshot::channel();
    let request = request.map(|body| Body::from_stream(paced(body.into_data_stream(), patience, slow)));
    tokio::select! {
        response = next.run(request) => response,
        Ok(()) = is_slow => WebError::TooSlow.into_response(),
    }
}

struct Paced {
    body: BodyDataStream,
    patience: Duration,
    slow: oneshot::Sender<()>,
    waited: Duration,
    bytes: usize,
}

fn paced(
    body: BodyDataStream,
    patience: Duration,
    slow: oneshot::Sender<()>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let start = Paced { body, patience, slow, waited: Duration::ZERO, bytes: 0 };
    stream::unfold(start, |mut paced| async move {
        // Only the waiting counts: a slow disk on our side is not the sender's fault.
        let asked = Instant::now();
        let Ok(chunk) = timeout(paced.patience.saturating_sub(paced.waited), paced.body.next()).await else {
            let _ = paced.slow.send(());
            return std::future::pending().await;
        };
        let chunk = chunk?;
        paced.waited += asked.elapsed();
        paced.bytes += chunk.as_ref().map_or(0, Bytes::len);
        if paced.bytes >= MIN_BYTES {
            (paced.waited, paced.bytes) = (Duration::ZERO, 0);
        }
        Some((chunk, paced))
    })
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, middleware::from_fn_with_state, routing::post};
    use tower::ServiceExt;

    use super::*;

    async fn send(between: Duration) -> StatusCode {
        let pace = from_fn_with_state(Duration::from_secs(30), require_pace);
        let app = Router::new().route("/", post(|_: String| async {})).layer(pace);
        let bytes = stream::iter(0..100).then(move |_| async move {
            tokio::time::sleep(between).await;
            Ok::<_, std::io::Error>("x")
        });
        let request = Request::post("/").header(CONTENT_TYPE, "text/plain").body(Body::from_stream(bytes)).unwrap();
        app.oneshot(request).await.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        assert_eq!(send(Duration::from_millis(1)).await, StatusCode::OK);
        assert_eq!(send(Duration::from_secs(1)).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(send(Duration::from_secs(40)).await, StatusCode::REQUEST_TIMEOUT);
    }
}
