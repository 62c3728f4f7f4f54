//! `/tasks/{id}`: one task; its cancel and retry buttons.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    response::{Redirect, Response},
};
use serde::Deserialize;

use super::{
    call::{CallBody, Outcome},
    figures,
    links::TaskLinks,
    log::{self, LogPart},
    page,
    story::{Block, BlockBody, Story},
    task_view::TaskView,
};
use crate::{
    domain::{explanation::Block as TextBlock, feedback::Rating, pull_request::PullRequestState},
    web::{
        AppState,
        error::WebError,
        extract::{Query, TaskPath},
        reading::Reading,
        submit,
        viewer::Viewer,
    },
};

/// Events on one page; older ones are a link away.
const PAGE: u32 = 400;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct TaskQuery {
    /// Show the events before this number instead of the last ones.
    before: Option<u64>,
    /// Show the events about this one.
    at: Option<u64>,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    view: TaskView,
    story: Vec<Block>,
    setup_log: Option<LogPart>,
    /// The first event on this page, when there are earlier ones.
    earlier: Option<u64>,
    /// The last event on this page: the stream goes on after it.
    last: u64,
    is_live: bool,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, .. }: Reading,
    Query(query): Query<TaskQuery>,
) -> Result<Response, WebError> {
    // The view comes last: it may show what the story does not yet, which the stream then tells.
    state.db.task(&id).await?;
    let last = state.db.last_seq(&id).await?;
    let end = match (query.before, query.at) {
        (Some(before), _) => before.saturating_sub(1).min(last),
        (None, Some(at)) if at.saturating_add(PAGE.into()) <= last => at.saturating_add(u64::from(PAGE / 2)).min(last),
        (None, _) => last,
    };
    let start = end.saturating_sub(PAGE.into());
    let mut events = state.db.events_after(&id, start, PAGE).await?;
    events.retain(|event| event.seq <= end);
    let events = links.reader.value(events)?;
    let story = Story::resume(&state, &id, start, links.reader).await?.tell_all(&events);
    let setup_log = log::setup_log(state.data_dir.task_logs(&id), links.reader).await?;
    let view = TaskView::load(&state, &id, links).await?;
    let is_live = end == last;
    let earlier = (start > 0).then_some(start + 1);
    page(&TaskPage { is_live, earlier, last: events.last().map_or(end, |event| event.seq), view, story, setup_log })
}

pub(in crate::web) async fn cancel(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
) -> Result<Redirect, WebError> {
    state.queue.cancel(&id).await?;
    Ok(Redirect::to(&TaskLinks::of(&id).page))
}

/// The hosts to be let through come as fields of one name, as boxes do that are ticked.
pub(in crate::web) async fn retry(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    form: Bytes,
) -> Result<Redirect, WebError> {
    let fields = url::form_urlencoded::parse(&form);
    let hosts: Vec<String> = fields.filter(|(name, _)| name == "allow_hosts").map(|(_, host)| host.into()).collect();
    let task = submit::again(&state, &viewer, &id, &hosts).await?;
    Ok(Redirect::to(&TaskLinks::of(&task.id).page))
}
