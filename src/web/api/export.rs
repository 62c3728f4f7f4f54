//! `/api/export`: training data, streamed task by task; and a task as a script to play again.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, future};
use serde::Deserialize;

use crate::{
    domain::{feedback::Ratings, model_name::ModelName},
    export::{self, Exported, Exporter, Format, Report, Wish},
    web::{
        AppState,
        error::{Problem, WebError},
        extract::{Query, TaskPath},
        viewer::Viewer,
    },
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct ExportQuery {
    /// How a task is written.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Tasks with a thumb up, or all that completed.
    #[serde(default)]
    #[param(inline)]
    rating: Ratings,
    /// Only tasks of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
}

impl ExportQuery {
    fn wish(self, viewer: &Viewer) -> Wish {
        Wish { scope: viewer.scope(), format: self.format, ratings: self.rating, model: self.model }
    }
}

/// Completed tasks as training data, a JSON line each, without secrets. What is left out and why is in the report.
#[utoipa::path(
    get,
    path = "/api/export/finetuning.jsonl",
    tag = "training",
    params(ExportQuery),
    responses((status = 200, content_type = "application/jsonl", body = String), (status = 400, body = Problem)),
)]
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(query): Query<ExportQuery>,
) -> Response {
    let lines = exporter(&state).tasks(&query.wish(&viewer)).filter_map(|task| {
        future::ready(match task {
            Ok(Exported::Lines(lines)) => Some(Ok(lines)),
            Ok(Exported::LeftOut(_)) => None,
            Err(error) => {
                tracing::error!(%error, "the export breaks off");
                Some(Err(error))
            }
        })
    });
    let headers =
        [(CONTENT_TYPE, "application/jsonl"), (CONTENT_DISPOSITION, "attachment; filename=\"finetuning.jsonl\"")];
    (headers, Body::from_stream(lines)).into_response()
}

/// How many tasks the export has, and which it leaves out and why.
#[utoipa::path(
    get,
    path = "/api/export/report",
    tag = "training",
    params(ExportQuery),
    responses((status = 200, body = Report), (status = 400, body = Problem)),
)]
pub(in crate::web) async fn report(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(query): Query<ExportQuery>,
) -> Result<Json<Report>, WebError> {
    Ok(Json(exporter(&state).report(&query.wish(&viewer)).await?))
}

/// The task as a play for a model of the kind `scripted`: the same tool calls again, without a key.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/script",
    tag = "training",
    params(("id" = String, Path)),
    responses(
        (status = 200, content_type = "application/json", body = String),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The model said nothing"),
    ),
)]
pub(in crate::web) async fn script(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Response, WebError> {
    state.db.task(&id).await?;
    let recorded = state.db.training_record(&id).await?;
    let script = export::script(&recorded.messages)
        .ok_or_else(|| WebError::Conflict("The model of this task said nothing that could be played.".to_owned()))?;
    let disposition = format!("attachment; filename=\"{id}.json\"");
    Ok(([(CONTENT_DISPOSITION, disposition)], Json(script)).into_response())
}

fn exporter(state: &AppState) -> Exporter {
    Exporter::new(state.db.clone(), state.data_dir.clone())
}
