//! The step protocol of one task on its unix socket. Whatever comes from there is hostile.

use std::sync::Arc;

use atelier_agent::wire::StepRequest;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::body::{self, BodyError};
use crate::brain::{Session, StepError};

/// Our agent's largest request is two streams of a command; this leaves room for other programs.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Answers `POST /step` until `done`. Which task it is follows from the socket, never from what is sent.
pub(crate) async fn serve(listener: UnixListener, session: Arc<Session>, done: CancellationToken) {
    let router = Router::new().route("/step", post(step)).with_state(session);
    let serving = axum::serve(listener, router).into_future();
    tokio::select! {
        () = done.cancelled() => {}
        ended = serving => if let Err(error) = ended {
            tracing::error!(%error, "the step socket broke");
        }
    }
}

async fn step(State(session): State<Arc<Session>>, request: Request) -> Response {
    let body = match body::at_most(MAX_REQUEST_BYTES, request.into_body()).await {
        Ok(body) => body,
        Err(BodyError::TooLong) => {
            let message = format!("a request may have {MAX_REQUEST_BYTES} bytes");
            return (StatusCode::PAYLOAD_TOO_LARGE, message).into_response();
        }
        Err(BodyError::Broken) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let request: StepRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) if error.is_data() => return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match session.step(request).await {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => {
            let status = match &error {
                StepError::WrongTask => StatusCode::BAD_REQUEST,
                StepError::OutOfOrder { .. } | StepError::NothingWaits | StepError::Ended => StatusCode::CONFLICT,
                StepError::Db(error) => {
                    tracing::error!(%error, "cannot answer a step");
                    return (StatusCode::INTERNAL_SERVER_ERROR, "the server could not store the step").into_response();
                }
            };
            (status, error.to_string()).into_response()
        }
    }
}
