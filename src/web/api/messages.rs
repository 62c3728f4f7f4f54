//! `/api/tasks/{id}/messages`: what people tell a task after its first instruction.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        limits::LimitsWish,
        turn::{FollowUp, NewFollowUp, RequestKey},
    },
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::TaskPath,
        submit::{self, FieldError},
        viewer::Viewer,
    },
};

const MAX_JSON_BYTES: usize = 256 * 1024;
const KEY: &str = "idempotency-key";

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = NewMessage)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct NewMessageBody {
    /// What the task is told, in plain words; at most 64 KiB.
    text: String,
    /// For a task that goes on after its end: limits of the whole task from now on, all of its turns together; only the
    /// times are of one turn. One that was reached has to be raised.
    #[serde(default)]
    limits: LimitsWish,
}

/// What a person told a task after its first instruction.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Message)]
pub(in crate::web) struct MessageBody {
    /// Counts from 1 within the task.
    number: u32,
    /// The turn it belongs to.
    turn: u32,
    /// Whether that turn began with it; else it was said while the task ran.
    begins_turn: bool,
    text: String,
    /// The step with which the model read it; null before. What is unread when the task ends is read when it goes on.
    read_at_step: Option<u32>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MessageList)]
pub(in crate::web) struct MessageListBody {
    messages: Vec<MessageBody>,
}

impl From<FollowUp> for MessageBody {
    fn from(told: FollowUp) -> Self {
        Self {
            number: told.number,
            turn: told.turn,
            begins_turn: told.begins_turn,
            text: told.text.into(),
            read_at_step: told.read_at_step,
            created_at: told.told_at,
        }
    }
}

/// What the task was told after its first instruction, in order.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/messages",
    tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = MessageListBody), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn list(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Json<MessageListBody>, WebError> {
    let messages = state.db.follow_ups(&id).await?.into_iter().map(MessageBody::from).collect();
    Ok(Json(MessageListBody { messages }))
}

/// Tells a task something. One that has ended, however it ended, goes on with it: a further turn with the same conversation
/// and the same changes in a new container, after it waited in line. One that runs reads it with its next step. It is stored
/// before it is answered; the same `Idempotency-Key` again is answered with what came of it the first time.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/messages",
    tag = "tasks",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Any words of yours; sent again with the same, nothing happens twice"),
    ),
    request_body = NewMessageBody,
    responses(
        (status = 201, body = MessageBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The task cannot go on, and why; or a limit is reached that was not raised"),
        (status = 422, body = Problem),
        (status = 429, body = Problem, description = "Too many tasks wait"),
        (status = 503, body = Problem),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<MessageBody>), WebError> {
    let invalid = |field: &str, error: &dyn ToString| WebError::Invalid {
        fields: vec![FieldError::new(field, &error.to_string())],
    };
    let sent: NewMessageBody = body::json(&body::of(request, MAX_JSON_BYTES).await?)?;
    let key = match headers.get(KEY) {
        None => None,
        Some(key) => {
            let key = RequestKey::try_from(key.to_str().unwrap_or_default());
            Some(key.map_err(|error| invalid("Idempotency-Key", &error))?)
        }
    };
    let text = sent.text.try_into().map_err(|error| invalid("text", &error))?;
    let new = NewFollowUp { person: viewer.id(), text, key, limits: sent.limits };
    let told = submit::tell(&state, &id, new).await?;
    Ok((StatusCode::CREATED, Json(told.into())))
}
