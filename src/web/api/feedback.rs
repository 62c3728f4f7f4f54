//! `POST /api/tasks/{id}/feedback`: thumbs up or down.

use axum::{
    Json,
    extract::{Request, State},
};
use serde::Deserialize;

use super::task_body::TaskBody;
use crate::{
    domain::feedback::{Feedback, Rating},
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::{BaseUrl, TaskPath},
        submit::FieldError,
    },
};

const MAX_JSON_BYTES: usize = 64 * 1024;

/// What a person thought of the result.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = FeedbackWish)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct FeedbackBody {
    /// Null takes back what was said before.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    rating: Option<Rating>,
    comment: Option<String>,
}

/// Says whether the result is good. Only tasks with `up` become training data unless asked otherwise.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/feedback",
    tag = "training",
    params(("id" = String, Path)),
    request_body = FeedbackBody,
    responses(
        (status = 200, body = TaskBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The task has not ended"),
        (status = 422, body = Problem),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    base: BaseUrl,
    request: Request,
) -> Result<Json<TaskBody>, WebError> {
    let json = body::of(request, MAX_JSON_BYTES).await?;
    let wish: FeedbackBody = body::json(&json)?;
    state.db.set_feedback(&id, feedback(wish.rating, wish.comment.as_deref())?).await?;
    let task = state.db.task(&id).await?;
    Ok(Json(TaskBody::whole(&state, task, &base).await?))
}

/// What was sent, checked.
pub(in crate::web) fn feedback(rating: Option<Rating>, comment: Option<&str>) -> Result<Option<Feedback>, WebError> {
    let checked = rating.map(|rating| Feedback::new(rating, comment)).transpose();
    checked.map_err(|error| WebError::Invalid { fields: vec![FieldError::new("comment", &error)] })
}
