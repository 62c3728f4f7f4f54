//! Bodies of requests, never longer than allowed.

use std::{pin::pin, time::Duration};

use axum::{body::Body, extract::Request, http::StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::WebError;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    TooLong,
    /// The sender has gone and hears nothing.
    Broken,
}

/// A body of at most `limit` bytes. The rest of a longer one is read before it is refused.
pub(super) async fn at_most(limit: usize, body: Body) -> Result<Bytes, BodyError> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if whole.len() + chunk.len() > limit {
            drop(whole);
            drain(chunks).await;
            return Err(BodyError::TooLong);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The body of a request to the API; one that is too long is refused.
pub(super) async fn of(request: Request, limit: usize) -> Result<Bytes, WebError> {
    at_most(limit, request.into_body()).await.map_err(|_| WebError::Refused(StatusCode::PAYLOAD_TOO_LARGE))
}

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, WebError> {
    serde_json::from_slice(body)
        .map_err(|error| WebError::Malformed(format!("The body is not the JSON that is expected: {error}")))
}

/// Reads on for a while without keeping anything: a sender that is cut off while it still sends sees a broken connection
/// instead of the answer.
pub(super) async fn drain<E>(body: impl Stream<Item = Result<Bytes, E>>) {
    const LONGEST: Duration = Duration::from_secs(30);
    let mut body = pin!(body);
    let read = async { while let Some(Ok(_)) = body.next().await {} };
    let _ = timeout(LONGEST, read).await;
}
