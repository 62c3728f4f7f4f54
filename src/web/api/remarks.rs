//! `/api/tasks/{id}/remarks`: remarks on lines of the diff, until they are sent.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{patch::Side, remark::Remark},
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::{RemarkPath, TaskPath},
        pages::{diff::Pointed, remarks::text},
    },
};

const MAX_JSON_BYTES: usize = 64 * 1024;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = NewRemark)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct NewRemarkBody {
    /// As it stands in the diff; of a renamed file the new one.
    path: String,
    /// `new`: lines are counted as the file is now; `old`: as it was.
    side: Side,
    /// Counts from 1; it has to be in the diff.
    line: u32,
    /// At most 4000 characters.
    text: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = RemarkChange)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RemarkChangeBody {
    text: String,
}

/// A remark on a line of the diff. It goes along with what the task is told next.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Remark)]
pub(in crate::web) struct RemarkBody {
    number: u32,
    path: String,
    side: Side,
    line: u32,
    /// What stands in that line.
    line_text: String,
    text: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RemarkList)]
pub(in crate::web) struct RemarkListBody {
    remarks: Vec<RemarkBody>,
}

impl From<Remark> for RemarkBody {
    fn from(remark: Remark) -> Self {
        let Remark { number, line, text } = remark;
        Self { number, path: line.path, side: line.side, line: line.number, line_text: line.text, text: text.into() }
    }
}

/// The remarks that were not sent yet, by file and line.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/remarks",
    tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = RemarkListBody), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn list(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Json<RemarkListBody>, WebError> {
    let remarks = state.db.remarks(&id).await?.into_iter().map(RemarkBody::from).collect();
    Ok(Json(RemarkListBody { remarks }))
}

/// Keeps a remark on a line of the diff.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/remarks",
    tag = "tasks",
    params(("id" = String, Path)),
    request_body = NewRemarkBody,
    responses(
        (status = 201, body = RemarkBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Too many wait to be sent"),
        (status = 422, body = Problem, description = "The line is not in the diff, or the text is empty or too long"),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    request: Request,
) -> Result<(StatusCode, Json<RemarkBody>), WebError> {
    let new: NewRemarkBody = body::json(&body::of(request, MAX_JSON_BYTES).await?)?;
    let text = text(new.text)?;
    let pointed = Pointed::require(&state, &id, new.path, (new.side, new.line)).await?;
    let remark = state.db.add_remark(&id, pointed.line, text).await?;
    Ok((StatusCode::CREATED, Json(remark.into())))
}

/// Gives a remark that was not sent yet another text.
#[utoipa::path(
    put,
    path = "/api/tasks/{id}/remarks/{remark}",
    tag = "tasks",
    params(("id" = String, Path), ("remark" = u32, Path)),
    request_body = RemarkChangeBody,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)),
)]
pub(in crate::web) async fn put(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    RemarkPath(remark): RemarkPath,
    request: Request,
) -> Result<StatusCode, WebError> {
    let change: RemarkChangeBody = body::json(&body::of(request, MAX_JSON_BYTES).await?)?;
    let is_there = state.db.change_remark(&id, remark, text(change.text)?).await?;
    if is_there { Ok(StatusCode::NO_CONTENT) } else { Err(WebError::NotFound) }
}

/// Removes a remark that was not sent yet.
#[utoipa::path(
    delete,
    path = "/api/tasks/{id}/remarks/{remark}",
    tag = "tasks",
    params(("id" = String, Path), ("remark" = u32, Path)),
    responses((status = 204), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn delete(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    RemarkPath(remark): RemarkPath,
) -> Result<StatusCode, WebError> {
    if state.db.remove_remark(&id, remark).await? { Ok(StatusCode::NO_CONTENT) } else { Err(WebError::NotFound) }
}
