//! `/api/tasks`: submit, list, look, cancel, retry.

use axum::{
    Json,
    extract::{FromRequest, Multipart, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LINK, LOCATION},
    },
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::task_body::TaskBody;
use crate::{
    db::TaskFilter,
    domain::{
        task::{Status, Task},
        task_id::TaskId,
    },
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::{BaseUrl, Query, TaskPath},
        submit::{self, FieldError, Received, Submission},
        viewer::Viewer,
    },
};

const MAX_JSON_BYTES: usize = 256 * 1024;
/// What a form holds beside its file.
const MAX_FORM_EXTRA_BYTES: u64 = 1024 * 1024;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct ListQuery {
    status: Option<Status>,
    /// Tasks per page, at most 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only tasks submitted before this one: `next` of the page before.
    #[param(value_type = Option<String>)]
    before: Option<TaskId>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TaskList)]
pub(in crate::web) struct ListBody {
    tasks: Vec<TaskBody>,
    /// `before` for the next page; null on the last one.
    #[schema(value_type = Option<String>)]
    next: Option<TaskId>,
}

/// The tasks, newest first.
#[utoipa::path(
    get,
    path = "/api/tasks",
    tag = "tasks",
    params(ListQuery),
    responses((status = 200, body = ListBody), (status = 400, body = Problem)),
)]
pub(in crate::web) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(query): Query<ListQuery>,
    base: BaseUrl,
) -> Result<Response, WebError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(WebError::Malformed(format!("limit must be between 1 and {MAX_LIMIT}")));
    }
    // One more than asked for tells whether there is another page.
    let filter =
        TaskFilter { status: query.status, before: query.before, ..TaskFilter::new(viewer.scope(), limit + 1) };
    let mut tasks = state.db.tasks(filter).await?;
    let is_last = tasks.len() <= limit as usize;
    tasks.truncate(limit as usize);
    let next = tasks.last().filter(|_| !is_last).map(|task| task.id.clone());

    let mut headers = HeaderMap::new();
    if let Some(next) = &next {
        let status = query.status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
        let link = format!("<{}/api/tasks?limit={limit}&before={next}{status}>; rel=\"next\"", base.0);
        headers.extend(HeaderValue::from_str(&link).ok().map(|link| (LINK, link)));
    }
    let names = state.db.names().await?;
    let tasks = tasks.into_iter().map(|task| TaskBody::listed(task, &base, &names)).collect();
    Ok((headers, Json(ListBody { tasks, next })).into_response())
}

/// Submits a task: JSON with a Git URL, or a form (multipart/form-data) with the file field `archive` and the other
/// names as fields.
#[utoipa::path(
    post,
    path = "/api/tasks",
    tag = "tasks",
    request_body(content(
        (Submission = "application/json"),
        (String = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = TaskBody, headers(("Location" = String, description = "The task"))),
        (status = 413, body = Problem, description = "The archive is too large"),
        (status = 422, body = Problem, description = "A field is wrong; `errors` says which and why"),
        (status = 429, body = Problem, description = "Too many tasks wait"),
        (status = 503, body = Problem, description = "The server is stopping"),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    base: BaseUrl,
    request: Request,
) -> Result<Response, WebError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let task = match &*kind {
        "application/json" => {
            let submission = read_json(request).await?;
            submit::submit(&state, &viewer, submission, None).await?
        }
        "multipart/form-data" => {
            let mut received = Received::default();
            received.read(&state, open_form(&state, request).await?).await?;
            submit::submit(&state, &viewer, received.typed.submission()?, received.upload).await?
        }
        _ => return Err(WebError::UnsupportedMediaType),
    };
    created(&state, task, &base).await
}

/// One task.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}",
    tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = TaskBody), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    base: BaseUrl,
) -> Result<Json<TaskBody>, WebError> {
    let task = state.db.task(&id).await?;
    Ok(Json(TaskBody::whole(&state, task, &base).await?))
}

/// Stops a task in any stage. A running one ends within seconds; one that ended stays as it is.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/cancel",
    tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = TaskBody), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn cancel(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    base: BaseUrl,
) -> Result<Json<TaskBody>, WebError> {
    state.queue.cancel(&id).await?;
    let task = state.db.task(&id).await?;
    Ok(Json(TaskBody::whole(&state, task, &base).await?))
}

/// What is to be different this time.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = RetryWish)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RetryBody {
    /// Hosts that its proxy lets through besides those it had: `pypi.org`, `*.pythonhosted.org`, `example.org:8443`.
    #[serde(default)]
    allow_hosts: Vec<String>,
}

/// The same again as a new task: source, instruction, model, image, limits, hosts. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/retry",
    tag = "tasks",
    params(("id" = String, Path)),
    request_body = Option<RetryBody>,
    responses(
        (status = 201, body = TaskBody, headers(("Location" = String, description = "The new task"))),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The archive is gone"),
        (status = 422, body = Problem, description = "Its image is not allowed any more, or a host is none"),
        (status = 429, body = Problem),
        (status = 503, body = Problem),
    ),
)]
pub(in crate::web) async fn retry(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    base: BaseUrl,
    request: Request,
) -> Result<Response, WebError> {
    let json = body::of(request, MAX_JSON_BYTES).await?;
    let wish: Option<RetryBody> = if json.is_empty() { None } else { body::json(&json)? };
    let task = submit::again(&state, &viewer, &id, &wish.unwrap_or_default().allow_hosts).await?;
    created(&state, task, &base).await
}

/// The form of a request, unless it announces more than is allowed: then nothing of it is kept.
pub(in crate::web) async fn open_form(state: &AppState, request: Request) -> Result<Multipart, WebError> {
    let limit = state.config.source.max_zip_bytes;
    if let Err(refusal) = submit::require_room(state) {
        body::drain(request.into_body().into_data_stream()).await;
        return Err(refusal);
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit.saturating_add(MAX_FORM_EXTRA_BYTES)) {
        // Who asks before it sends (`Expect: 100-continue`) is told at once.
        if !request.headers().contains_key(EXPECT) {
            body::drain(request.into_body().into_data_stream()).await;
        }
        return Err(WebError::ArchiveTooLarge { limit });
    }
    Multipart::from_request(request, &()).await.map_err(|error| WebError::Malformed(error.body_text()))
}

async fn created(state: &AppState, task: Task, base: &BaseUrl) -> Result<Response, WebError> {
    let location = format!("/api/tasks/{}", task.id);
    let body = TaskBody::whole(state, task, base).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(body)).into_response())
}

async fn read_json(request: Request) -> Result<Submission, WebError> {
    let body = body::of(request, MAX_JSON_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = error.to_string();
        if !error.is_data() {
            return WebError::Malformed(format!("The body is not JSON: {message}"));
        }
        let field = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        WebError::Invalid { fields: vec![FieldError::new(field.unwrap_or("body"), &message)] }
    })
}
