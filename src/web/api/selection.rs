//! `/api/tasks/{id}/selection`: which files and hunks are in the result, and which are left out.

use axum::{
    Json,
    extract::{Request, State},
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        choice::{FileChoice, LeftOut},
        task_id::TaskId,
    },
    pipeline::choice::{self, NotChosen},
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::TaskPath,
        submit::FieldError,
    },
};

const MAX_JSON_BYTES: usize = 1024 * 1024;

/// What was changed, file by file, as far as it can be left out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Selection)]
pub(in crate::web) struct SelectionBody {
    files: Vec<FileChoice>,
}

/// What is to be left out; everything else is in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = SelectionWish)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wish {
    /// Ids of files and hunks, as `GET` lists them.
    left_out: Vec<String>,
}

/// Lists the files and hunks of a result, with what is left out.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/selection",
    tag = "tasks",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = SelectionBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "What it takes is kept no longer"),
    ),
)]
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Json<SelectionBody>, WebError> {
    selection(&state, &id).await
}

/// Leaves files and hunks out of the result, or takes them in again: `diff.patch`, what is fetched and what is published hold
/// what is chosen. `whole.patch` has everything.
#[utoipa::path(
    put,
    path = "/api/tasks/{id}/selection",
    tag = "tasks",
    params(("id" = String, Path)),
    request_body = Wish,
    responses(
        (status = 200, body = SelectionBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The task has not ended, or what it takes is kept no longer"),
        (status = 422, body = Problem),
    ),
)]
pub(in crate::web) async fn put(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    request: Request,
) -> Result<Json<SelectionBody>, WebError> {
    let json = body::of(request, MAX_JSON_BYTES).await?;
    let Wish { left_out } = body::json(&json)?;
    let wanted: LeftOut = left_out.into_iter().collect();
    choice::choose(&state.db, &state.data_dir, &id, |_| wanted).await?;
    selection(&state, &id).await
}

async fn selection(state: &AppState, id: &TaskId) -> Result<Json<SelectionBody>, WebError> {
    let files = choice::choices(&state.db, &state.data_dir, id).await?.ok_or(NotChosen::Gone)?;
    Ok(Json(SelectionBody { files }))
}

impl From<NotChosen> for WebError {
    fn from(error: NotChosen) -> Self {
        match error {
            NotChosen::Db(error) => error.into(),
            NotChosen::Disk(error) => error.into(),
            NotChosen::Machinery(error) => Self::internal(error),
            NotChosen::Unknown(_) => Self::Invalid {
                fields: vec![FieldError::new("left_out", tr!("no such file or hunk; look at the result again"))],
            },
            NotChosen::Gone => Self::Conflict(
                tr!(
                    "Nothing can be left out: the changes of the task are kept no longer ([retention] uploads_days), or by an \
                     older version without what they were made from."
                )
                .to_owned(),
            ),
            NotChosen::Contradiction { path } => Self::Conflict(tr!(
                "{path} would be a file and a folder at once. Leave out both changes, or neither.",
                path = path
            )),
        }
    }
}
