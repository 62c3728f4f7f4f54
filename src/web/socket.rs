//! The step protocol of one task on its unix socket. Whatever comes from there is hostile: beside the agent, the commands
//! it runs can connect.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use atelier_agent::wire::{SECRET_HEADER, StepRequest};
use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONNECTION},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest, Sha256};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::body::{self, BodyError};
use crate::{
    brain::{Session, StepError},
    db::SpeakerHash,
};

/// Our agent's largest request is two streams of a command; this leaves room for other programs.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Requests that are read and answered side by side; the agent has one at a time.
const MAX_REQUESTS: usize = 4;
const MAX_CONNECTIONS: usize = 64;
/// For a connection to show that it is the agent's. After that it may be silent for as long as a command runs.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_mins(1);
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the connections of a socket share.
struct Desk {
    session: Arc<Session>,
    requests: Semaphore,
}

/// Answers `POST /step` until `done`. Which task it is follows from the socket, never from what is sent.
pub(crate) async fn serve(listener: UnixListener, session: Arc<Session>, done: CancellationToken) {
    let desk = Arc::new(Desk { session, requests: Semaphore::new(MAX_REQUESTS) });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = done.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // One too many is closed at once; the agent comes again.
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let (desk, done) = (desk.clone(), done.clone());
                tokio::spawn(async move {
                    done.run_until_cancelled(converse(stream, desk)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the step socket cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, desk: Arc<Desk>) {
    let proven = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (desk, proven) = (desk.clone(), &proven);
        async move { Ok::<_, Infallible>(desk.answer(request.map(Body::new), proven).await) }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection that breaks off is the agent's to make again.
    tokio::select! {
        _ = &mut connection => return,
        () = sleep(PROOF_TIMEOUT) => {}
    }
    if proven.load(Ordering::Relaxed) {
        let _ = connection.await;
    }
}

impl Desk {
    async fn answer(&self, request: axum::extract::Request, proven: &AtomicBool) -> Response {
        if request.uri().path() != "/step" {
            return StatusCode::NOT_FOUND.into_response();
        }
        if request.method() != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        let secret = secret(request.headers());
        match self.session.admits(secret).await {
            Ok(true) => proven.store(true, Ordering::Relaxed),
            Ok(false) => return refuse(request.into_body()).await,
            Err(error) => return not_answered(&error),
        }
        // Held until the answer: what waits for it is in memory.
        let Ok(_place) = self.requests.try_acquire() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "one request at a time").into_response();
        };
        let body = match timeout(BODY_TIMEOUT, body::at_most(MAX_REQUEST_BYTES, request.into_body())).await {
            Ok(Ok(body)) => body,
            Ok(Err(BodyError::TooLong)) => {
                let message = format!("a request may have {MAX_REQUEST_BYTES} bytes");
                return closing((StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            Ok(Err(BodyError::Broken)) => return closing(StatusCode::BAD_REQUEST),
            Err(_) => return closing((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        };
        self.step(&body, secret).await
    }

    async fn step(&self, body: &Bytes, secret: SpeakerHash) -> Response {
        let request: StepRequest = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) if error.is_data() => {
                return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response();
            }
            Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        };
        match self.session.clone().step(request, secret).await {
            Ok(reply) => Json(reply).into_response(),
            Err(error) => not_answered(&error),
        }
    }
}

/// Only hashed: nobody reads it from here.
fn secret(headers: &HeaderMap) -> SpeakerHash {
    headers.get(SECRET_HEADER).map(|secret| Sha256::digest(secret.as_bytes()).into())
}

fn not_answered(error: &StepError) -> Response {
    let status = match error {
        StepError::WrongTask => StatusCode::BAD_REQUEST,
        StepError::OtherSpeaker => StatusCode::FORBIDDEN,
        StepError::OutOfOrder { .. } | StepError::NothingWaits | StepError::Ended => StatusCode::CONFLICT,
        // Our agent asks again until a server answers.
        StepError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        StepError::Db(error) => {
            tracing::error!(%error, "cannot answer a step");
            return (StatusCode::INTERNAL_SERVER_ERROR, "the server could not store the step").into_response();
        }
    };
    (status, error.to_string()).into_response()
}

async fn refuse(body: Body) -> Response {
    body::drain(body.into_data_stream()).await;
    closing((StatusCode::FORBIDDEN, StepError::OtherSpeaker.to_string()))
}

fn closing(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
