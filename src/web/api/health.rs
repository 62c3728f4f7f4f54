//! Whether the server lives, and whether it can work. Open to anybody, so neither says more than a word.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use tokio::time::timeout;

use crate::{domain::task::Status, web::AppState};

const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub(in crate::web) struct ReadyBody {
    ready: bool,
    database: Check,
    docker: Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Check {
    Ok,
    Unavailable,
}

/// The server answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = String)))]
pub(in crate::web) async fn alive() -> &'static str {
    "ok"
}

/// The server can take and run tasks; what is missing is named, the reason is in its log and in `atelier doctor`.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
)]
pub(in crate::web) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<ReadyBody>) {
    let database = timeout(CHECK_TIMEOUT, state.db.count_tasks(Status::Running));
    let docker = timeout(CHECK_TIMEOUT, (state.docker)());
    let (database, docker) = tokio::join!(database, docker);
    let database = if matches!(database, Ok(Ok(_))) { Check::Ok } else { Check::Unavailable };
    let docker = match docker {
        Ok(Ok(())) => Check::Ok,
        Ok(Err(reason)) => {
            tracing::warn!(reason, "docker is not ready");
            Check::Unavailable
        }
        Err(_) => Check::Unavailable,
    };
    let ready = database == Check::Ok && docker == Check::Ok && !state.shutdown.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyBody { ready, database, docker }))
}
