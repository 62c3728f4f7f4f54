//! `/metrics`: what the server counts, for Prometheus.

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use crate::{
    domain::{person::Scope, task::Status},
    host,
    metrics::{self, Readings},
    pipeline::{leaks, obstacle::Obstacle},
    web::{AppState, error::WebError},
};

/// The figures of the server in the `OpenMetrics` text format, which Prometheus reads. Only with the admin token, unless
/// `[server] metrics` is "open".
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)),
)]
pub(in crate::web) async fn get(State(state): State<AppState>) -> Result<Response, WebError> {
    let text = state.vitals.metrics.text(&readings(&state).await?).map_err(WebError::internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn readings(state: &AppState) -> Result<Readings, WebError> {
    let mut tasks = Vec::new();
    for status in Status::ALL {
        tasks.push((status, state.db.count_tasks(Scope::All, status).await?));
    }
    let obstacles = state.vitals.obstacles.borrow().clone();
    let disk = host::disk_space(state.data_dir.path()).map_err(WebError::internal)?;
    let leaks = leaks::leaks(&state.data_dir, &state.db).await.map_err(WebError::internal)?;
    Ok(Readings {
        tasks,
        docker_is_up: !obstacles.iter().any(|one| matches!(one, Obstacle::Docker { .. } | Obstacle::Starting)),
        disk_free_bytes: disk.free,
        disk_reserve_bytes: state.config.queue.disk_reserve(disk),
        resident_bytes: host::resident_memory().unwrap_or_default(),
        open_files: host::open_files() as u64,
        leaks: leaks.len() as u64,
    })
}
