//! `POST /api/tasks/{id}/pull-request`: a branch and a pull request of what a task came to.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::task_body::TaskBody;
use crate::{
    db::Consent,
    domain::{failure::FailureKind, pull_request::PullRequest, pull_request::PullRequestState},
    pipeline::publisher::NotPublishable,
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::{BaseUrl, TaskPath},
    },
};

const MAX_JSON_BYTES: usize = 4 * 1024;

/// How far a pull request is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PullRequest)]
pub(in crate::web) struct PullRequestBody {
    /// `publishing`, `opened`, `needs_confirmation`, `conflict`, `nothing_to_publish` or `failed`.
    state: &'static str,
    /// What that means, and what to do next.
    message: String,
    /// Why it failed, for programs.
    kind: Option<FailureKind>,
    /// The branch of the task.
    branch: String,
    /// The branch it is to be merged into, once it is known.
    base: Option<String>,
    number: Option<u64>,
    /// Its page on the forge.
    url: Option<String>,
    /// Those that wait for a yes, or are in conflict.
    files: Vec<String>,
}

impl From<PullRequest> for PullRequestBody {
    fn from(known: PullRequest) -> Self {
        let kind = match &known.state {
            PullRequestState::Failed { failure } => Some(failure.kind),
            _ => None,
        };
        Self {
            state: known.state.as_str(),
            message: known.message(),
            kind,
            files: known.state.files().to_vec(),
            branch: known.branch,
            base: known.base,
            number: known.number,
            url: known.url,
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = PullRequestWish)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wish {
    /// Yes to publishing files that can run programs, give rights or hide something once they are pushed.
    #[serde(default)]
    confirm: bool,
}

/// Publishes what a completed task changed, in the background: `pull_request` of the task says how far it is. A second time
/// finds branch and pull request again, and puts the branch on the newest state of the one it is to be merged into.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/pull-request",
    tag = "tasks",
    params(("id" = String, Path)),
    request_body(content = Option<Wish>),
    responses(
        (status = 202, body = TaskBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The task is not completed, changed nothing, or has no forge"),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    base: BaseUrl,
    request: Request,
) -> Result<(StatusCode, Json<TaskBody>), WebError> {
    let json = body::of(request, MAX_JSON_BYTES).await?;
    let wish: Option<Wish> = match json.trim_ascii() {
        [] => None,
        json => body::json(json)?,
    };
    let consent = if wish.unwrap_or_default().confirm { Consent::Given } else { Consent::NotAsked };
    state.publisher.ask(&id, consent, &state.shutdown).await?;
    let task = state.db.task(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(TaskBody::whole(&state, task, &base).await?)))
}

impl From<NotPublishable> for WebError {
    fn from(error: NotPublishable) -> Self {
        match error {
            NotPublishable::Db(error) => error.into(),
            error => Self::Conflict(error.to_string()),
        }
    }
}
