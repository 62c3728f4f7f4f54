//! From what was sent to a queued task: the one way in for the form and the API.

mod check;
mod received;
mod upload;

use axum::extract::multipart::MultipartError;
use serde::{Deserialize, Serialize};

use super::{AppState, error::WebError, language, viewer::Viewer};
use crate::{
    domain::{
        limits::{Limits, LimitsWish},
        source::Source,
        task::{NewTask, Task},
        task_id::TaskId,
        turn::{FollowUp, NewFollowUp},
    },
    host,
    pipeline::{follow_up::NotTold, queue::SubmitError},
};
pub(super) use check::check_url;
pub(super) use received::{Received, Typed};
use upload::Upload;

/// The JSON of `POST /api/tasks`; the fields of a form have the same names.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    pub(super) source: Option<GitSource>,
    /// What is to be done, in plain words; at most 64 KiB.
    #[serde(default)]
    pub(super) task: String,
    /// `modify` (the default), `pr` (the same, and a pull request of it) or `analyze`.
    pub(super) mode: Option<String>,
    /// `PROVIDER/model-id`; the configured one when left out.
    pub(super) model: Option<String>,
    /// The container image; the configured one when left out.
    pub(super) image: Option<String>,
    #[serde(default)]
    pub(super) limits: LimitsWish,
    /// Commands that have to pass, besides those of the repository and the server; at most 20. In a form: one a line.
    #[serde(default)]
    pub(super) checks: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GitSource {
    /// `https://host/owner/repository`
    pub(super) git_url: String,
    /// A branch, a tag or a full commit id; the default branch when left out.
    pub(super) git_ref: Option<String>,
}

/// What is wrong with one field; the name is that of the form and the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error, utoipa::ToSchema)]
#[error("{field}: {message}")]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) kind: String,
    pub(super) message: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: &(impl ToString + ?Sized)) -> Self {
        Self {
            field: field.into(),
            kind: "invalid".to_owned(),
            message: language::stored(&message.to_string()).into_owned(),
        }
    }
}

/// Refuses what could not be kept: while the server stops, and while less than half of the disk's reserve is left. Asked
/// before a body is read, and again before it becomes a task.
pub(super) fn require_room(state: &AppState) -> Result<(), WebError> {
    if state.shutdown.is_cancelled() {
        return Err(WebError::Stopping);
    }
    let space = host::disk_space(state.data_dir.path())?;
    if space.free < state.config.queue.disk_reserve(space) / 2 {
        return Err(WebError::DiskFull);
    }
    Ok(())
}

/// Checks what was sent and queues it. Once this returns a task, the task survives whatever happens to the server.
pub(super) async fn submit(
    state: &AppState,
    viewer: &Viewer,
    submission: Submission,
    upload: Option<Upload>,
) -> Result<Task, WebError> {
    let new = check::check(viewer.id(), submission, upload.as_ref(), &state.config);
    let new = new.map_err(|fields| WebError::Invalid { fields })?;
    if let Some(upload) = &upload {
        upload.inspect(&state.config).await?;
    }
    queue(state, new, upload).await
}

/// Queues a task like one there was: the same source, instruction, model, limits and hosts, and these hosts too. It belongs
/// to who asked for it now.
pub(super) async fn again(
    state: &AppState,
    viewer: &Viewer,
    id: &TaskId,
    more_hosts: &[String],
) -> Result<Task, WebError> {
    let task = state.db.task(id).await?;
    let invalid = |error: FieldError| WebError::Invalid { fields: vec![error] };
    check::allowed(&task.image, &state.config).map_err(invalid)?;
    let allow_hosts = check::more_hosts(task.allow_hosts, more_hosts, &state.config).map_err(invalid)?;
    let upload = match &task.source {
        Source::Git { .. } => None,
        Source::Archive { name, bytes } => {
            Some(Upload::link(state, &state.data_dir.task(id).upload(), name.clone(), *bytes).await?)
        }
    };
    let Limits { max_steps, max_tokens, max_cost_usd, setup_timeout_s, task_timeout_s } = task.limits;
    let limits = LimitsWish {
        max_steps: Some(max_steps),
        max_tokens: Some(max_tokens),
        max_cost_usd: Some(max_cost_usd),
        setup_timeout_s: Some(setup_timeout_s),
        task_timeout_s: Some(task_timeout_s),
    };
    let new = NewTask {
        owner: viewer.id(),
        source: task.source,
        instruction: task.instruction,
        mode: task.mode,
        model: Some(task.model),
        image: Some(task.image),
        limits,
        allow_hosts,
        checks: task.checks,
        trigger: None,
    };
    queue(state, new, upload).await
}

/// Tells a task something. Once this returns, it is kept whatever happens to the server.
pub(super) async fn tell(state: &AppState, id: &TaskId, new: NewFollowUp) -> Result<FollowUp, WebError> {
    require_room(state)?;
    let task = state.db.task(id).await?;
    let fields = check::limits(&new.limits);
    if !fields.is_empty() {
        return Err(WebError::Invalid { fields });
    }
    check::allowed(&task.image, &state.config).map_err(|error| WebError::Invalid { fields: vec![error] })?;
    let (queue, id) = (state.queue.clone(), id.clone());
    // A client that goes away now must not leave it half done.
    let told = tokio::spawn(async move { queue.tell(&id, new).await });
    Ok(told.await.map_err(WebError::internal)??)
}

impl From<NotTold> for WebError {
    fn from(error: NotTold) -> Self {
        match error {
            NotTold::Db(error) => error.into(),
            error => Self::Conflict(error.to_string()),
        }
    }
}

pub(super) async fn queue(state: &AppState, new: NewTask, upload: Option<Upload>) -> Result<Task, WebError> {
    require_room(state)?;
    let queue = state.queue.clone();
    // A client that goes away now must not leave half a task behind, so this part runs to its end.
    let submitted = tokio::spawn(async move {
        let path = upload.as_ref().map(|upload| upload.path().to_owned());
        queue.submit(new, path).await
    });
    match submitted.await.map_err(WebError::internal)? {
        Ok(task) => Ok(task),
        Err(SubmitError::Db(error)) => Err(error.into()),
        Err(SubmitError::Disk(error)) => Err(error.into()),
    }
}

impl From<MultipartError> for WebError {
    fn from(error: MultipartError) -> Self {
        Self::Malformed(format!("The form cannot be read: {}", error.body_text()))
    }
}
