//! Whether the server lives, and whether it can work. Open to anybody, so neither tells more than it must.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    domain::{person::Scope, task::Status},
    pipeline::{leaks::leaks, obstacle::Obstacle},
    web::AppState,
};

const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub(in crate::web) struct ReadyBody {
    /// Tasks are taken and started. A server that is not ready because of Docker or its disk takes tasks all the same.
    ready: bool,
    database: Check,
    docker: Check,
    disk: Check,
    /// One entry for each thing that is in the way.
    reasons: Vec<Reason>,
    /// Folders of ended tasks that could not be removed; null when nobody could look.
    leaks: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Check {
    Ok,
    Unavailable,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ReadinessReason)]
struct Reason {
    /// `docker_unavailable`, `disk_reserve`, `database_unavailable`, `starting` or `stopping`
    kind: &'static str,
    message: String,
}

/// The server answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = String)))]
pub(in crate::web) async fn alive() -> &'static str {
    "ok"
}

/// The server can take and run tasks; what is in the way is named.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
)]
pub(in crate::web) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<ReadyBody>) {
    let mut reasons = Vec::new();
    let mut note = |kind, message: &dyn ToString| reasons.push(Reason { kind, message: message.to_string() });
    if state.shutdown.is_cancelled() {
        note("stopping", &"The server is stopping.");
    }
    let asked = timeout(CHECK_TIMEOUT, state.db.count_tasks(Scope::All, Status::Running)).await;
    let database = if matches!(asked, Ok(Ok(_))) { Check::Ok } else { Check::Unavailable };
    if database == Check::Unavailable {
        note("database_unavailable", &"The database does not answer.");
    }
    let (mut docker, mut disk) = (Check::Ok, Check::Ok);
    for obstacle in state.vitals.obstacles.borrow().iter() {
        match obstacle {
            Obstacle::Starting | Obstacle::Docker { .. } | Obstacle::OldEngine { .. } => docker = Check::Unavailable,
            Obstacle::Disk { .. } => disk = Check::Unavailable,
            // Others run, or have used up the day: that is what being ready is for. What they cost is not for anybody.
            Obstacle::Memory { .. } | Obstacle::DayBudget(_) | Obstacle::Provider(_) => continue,
        }
        note(obstacle.kind(), obstacle);
    }
    let leaks = leaks(&state.data_dir, &state.db).await.map(|leaks| leaks.len());
    let leaks = leaks.inspect_err(|error| tracing::warn!(%error, "cannot look for leaks")).ok();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyBody { ready, database, docker, disk, reasons, leaks }))
}
