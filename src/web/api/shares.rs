//! Share links of a task: made, listed, revoked.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    artifacts, blocking,
    domain::{
        share::{Lifetime, Share, ShareScope},
        task_id::TaskId,
    },
    wall_clock,
    web::{
        AppState, body,
        error::{Problem, WebError},
        extract::{BaseUrl, TaskPath},
        share::ShareToken,
        submit::FieldError,
        viewer::Viewer,
    },
};

const MAX_JSON_BYTES: usize = 4 * 1024;
const MAX_DAYS: u16 = 3650;

/// What to show to whom has the link, and for how long.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = ShareWish)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wish {
    /// `task` (the default): the page of the task with all its files, live while it runs; `diff`: the diff and its patch;
    /// `log`: one file.
    #[serde(default)]
    scope: Scope,
    /// The file of scope `log`: a name from `artifacts`.
    log: Option<String>,
    /// Days until the link ends, 7 by default; null: never.
    #[serde(default = "default_days")]
    expires_in_days: Option<u16>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = ShareScope)]
#[serde(rename_all = "snake_case")]
pub(in crate::web) enum Scope {
    #[default]
    Task,
    Diff,
    Log,
}

fn default_days() -> Option<u16> {
    match Lifetime::DEFAULT {
        Lifetime::Days(days) => Some(days),
        Lifetime::Endless => None,
    }
}

/// A share link.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Share)]
pub(in crate::web) struct ShareBody {
    /// For revoking it.
    id: String,
    /// `task`, `diff` or `log`.
    scope: &'static str,
    /// The file of scope `log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// The link. It is told when it is made and never again: only its hash is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The name of who made it.
    made_by: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// Null: never.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// Null: not yet.
    #[schema(value_type = Option<String>)]
    last_opened_at: Option<Timestamp>,
    opened: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ShareList)]
pub(in crate::web) struct ShareList {
    shares: Vec<ShareBody>,
}

impl ShareBody {
    fn new(share: Share, url: Option<String>) -> Self {
        let (scope, log) = match share.scope {
            ShareScope::Task => ("task", None),
            ShareScope::Diff => ("diff", None),
            ShareScope::Log { name } => ("log", Some(name)),
        };
        Self {
            id: share.id.to_string(),
            scope,
            log,
            url,
            made_by: share.made_by.name,
            created_at: share.created_at,
            expires_at: share.expires_at,
            last_opened_at: share.last_opened_at,
            opened: share.opened,
        }
    }
}

/// Makes a link with which anybody can read the task, or a part of it, without a login. What looks like a secret is covered
/// for them.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/shares",
    tag = "shares",
    params(("id" = String, Path)),
    request_body(content = Option<Wish>),
    responses(
        (status = 201, body = ShareBody),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    base: BaseUrl,
    request: Request,
) -> Result<(StatusCode, Json<ShareBody>), WebError> {
    let json = body::of(request, MAX_JSON_BYTES).await?;
    let json = if json.trim_ascii().is_empty() { &b"{}"[..] } else { &json };
    let wish: Wish = body::json(json)?;
    let scope = scope(wish.scope, wish.log)?;
    let (share, path) = make(&state, &viewer, id, scope, lifetime(wish.expires_in_days)?).await?;
    Ok((StatusCode::CREATED, Json(ShareBody::new(share, Some(format!("{}{path}", base.0))))))
}

/// The share links of a task, newest first.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/shares",
    tag = "shares",
    params(("id" = String, Path)),
    responses((status = 200, body = ShareList), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn list(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Json<ShareList>, WebError> {
    let shares = state.db.shares(&id).await?.into_iter().map(|share| ShareBody::new(share, None)).collect();
    Ok(Json(ShareList { shares }))
}

/// Revokes a link: it opens nothing any more, and what it had open ends.
#[utoipa::path(
    delete,
    path = "/api/shares/{share_id}",
    tag = "shares",
    params(("share_id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)),
)]
pub(in crate::web) async fn delete(
    State(state): State<AppState>,
    viewer: Viewer,
    Path(share_id): Path<String>,
) -> Result<StatusCode, WebError> {
    revoke(&state, &viewer, &share_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores a new share; gives back the path that opens it, which is known nowhere else.
pub(in crate::web) async fn make(
    state: &AppState,
    viewer: &Viewer,
    task: TaskId,
    scope: ShareScope,
    lifetime: Lifetime,
) -> Result<(Share, String), WebError> {
    if let ShareScope::Log { name } = &scope {
        let (folder, name) = (state.data_dir.task_logs(&task), name.clone());
        if blocking::run(move || artifacts::open(&folder, &name)).await??.is_none() {
            return Err(invalid("log", "there is no such file of this task; `artifacts` lists them"));
        }
    }
    let share = Share::new(task, viewer.person.clone(), scope, lifetime, wall_clock::now());
    let token = ShareToken::generate();
    state.db.insert_share(share.clone(), token.hash()).await?;
    Ok((share, token.path()))
}

/// Who may see the task may revoke its links; another's are not found.
pub(in crate::web) async fn revoke(state: &AppState, viewer: &Viewer, share_id: &str) -> Result<(), WebError> {
    let id = share_id.parse().map_err(|_| WebError::NotFound)?;
    let share = state.db.share(&id).await?.ok_or(WebError::NotFound)?;
    if !state.db.is_in_scope(viewer.scope(), &share.task).await? {
        return Err(WebError::NotFound);
    }
    Ok(state.db.delete_share(&share).await?)
}

pub(in crate::web) fn scope(scope: Scope, log: Option<String>) -> Result<ShareScope, WebError> {
    match (scope, log.filter(|name| !name.is_empty())) {
        (Scope::Task, None) => Ok(ShareScope::Task),
        (Scope::Diff, None) => Ok(ShareScope::Diff),
        (Scope::Log, Some(name)) => Ok(ShareScope::Log { name }),
        (Scope::Log, None) => Err(invalid("log", "name the file to share")),
        (Scope::Task | Scope::Diff, Some(_)) => Err(invalid("log", "is for the scope log alone")),
    }
}

pub(in crate::web) fn lifetime(days: Option<u16>) -> Result<Lifetime, WebError> {
    match days {
        None => Ok(Lifetime::Endless),
        Some(days @ 1..=MAX_DAYS) => Ok(Lifetime::Days(days)),
        Some(_) => Err(invalid("expires_in_days", "has to be 1 to 3650, or null for a link that never ends")),
    }
}

fn invalid(field: &str, message: &str) -> WebError {
    WebError::Invalid { fields: vec![FieldError::new(field, message)] }
}
