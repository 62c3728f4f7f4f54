//! `/tasks/{id}.git`: the result of a task as a repository to fetch from, and `/tasks/{id}/result.bundle`, the same as a file.
//! `docs/delivery.md` says how.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::ReaderStream;

use super::{
    AppState,
    error::WebError,
    extract::{Query, RepositoryPath, TaskPath},
    security_headers::ARTIFACT_POLICY,
};
use crate::{
    domain::failure::FailureKind,
    git::{FetchAnswer, FetchCall, answer_fetch},
    pipeline::delivery::NotDelivered,
};

/// What a git has to say before it gets a pack: the commits it wants and has.
pub(super) const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

const FETCH: &str = "git-upload-pack";

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    service: Option<String>,
}

/// Whether git asks, which shows its person what is in plain text.
pub(super) fn is_asked(path: &str) -> bool {
    path.strip_prefix("/tasks/")
        .and_then(|path| path.split_once('/'))
        .is_some_and(|(name, _)| name.strip_suffix(".git").is_some())
}

pub(super) async fn refs(
    State(state): State<AppState>,
    RepositoryPath(id): RepositoryPath,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    match asked.service.as_deref() {
        Some(FETCH) => {}
        Some(_) => return Err(WebError::ReadOnlyRepository),
        None => return Err(WebError::Conflict(tr!("This git is too old to fetch from here.").to_owned())),
    }
    let delivered = state.delivery.repository(&id).await?;
    answer(answer_fetch(&delivered.git_dir, FetchCall::Refs, protocol(&headers)).await)
}

pub(super) async fn pack(
    State(state): State<AppState>,
    RepositoryPath(id): RepositoryPath,
    headers: HeaderMap,
    request: Bytes,
) -> Result<Response, WebError> {
    let is = |name, value: &str| headers.get(name).is_some_and(|header| header.as_bytes() == value.as_bytes());
    if !is(CONTENT_TYPE, "application/x-git-upload-pack-request") {
        return Err(WebError::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let is_gzip = is(CONTENT_ENCODING, "gzip") || is(CONTENT_ENCODING, "x-gzip");
    let delivered = state.delivery.repository(&id).await?;
    let call = FetchCall::Pack { request: request.into(), is_gzip };
    answer(answer_fetch(&delivered.git_dir, call, protocol(&headers)).await)
}

pub(super) async fn push(RepositoryPath(_): RepositoryPath) -> WebError {
    WebError::ReadOnlyRepository
}

pub(super) async fn bundle(State(state): State<AppState>, TaskPath(id): TaskPath) -> Result<Response, WebError> {
    let file = tokio::fs::File::open(state.delivery.bundle(&id).await?).await?;
    let size = file.metadata().await?.len();
    let disposition = format!("attachment; filename=\"{id}.bundle\"");
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, [(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY)], Body::from_stream(ReaderStream::new(file)))
        .into_response())
}

fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol")?.to_str().ok()
}

fn answer(answered: std::io::Result<FetchAnswer>) -> Result<Response, WebError> {
    let FetchAnswer { status, content_type, body } = answered?;
    let status = StatusCode::from_u16(status).map_err(WebError::internal)?;
    let body = Body::from_stream(ReceiverStream::new(body));
    Ok((status, [(CONTENT_TYPE, content_type)], body).into_response())
}

impl From<NotDelivered> for WebError {
    fn from(error: NotDelivered) -> Self {
        match error {
            NotDelivered::Db(error) => error.into(),
            NotDelivered::NotEnded => {
                Self::Conflict(tr!("The task has not ended yet. Wait for its result.").to_owned())
            }
            NotDelivered::NothingChanged => {
                Self::Conflict(tr!("The task changed nothing, so there is nothing to fetch.").to_owned())
            }
            NotDelivered::Gone => Self::Conflict(
                tr!(
                    "The changes of the task are kept no longer ([retention] uploads_days), so no commit can be made of them. \
                     diff.patch may still be there."
                )
                .to_owned(),
            ),
            NotDelivered::Failed(failure) if failure.kind == FailureKind::Internal => Self::internal(failure.message),
            NotDelivered::Failed(failure) => Self::Conflict(failure.message),
        }
    }
}
