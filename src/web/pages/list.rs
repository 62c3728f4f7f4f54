//! `/`: the tasks, running ones first, then the newest.

use std::{convert::Infallible, time::Duration};

use askama::Template;
use axum::{
    extract::State,
    response::{Response, sse},
};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::{figures, page};
use crate::{
    db::TaskFilter,
    domain::{
        feedback::Rating,
        patch::DiffSummary,
        person::Scope,
        task::{Status, Task},
        task_id::TaskId,
    },
    pipeline::leaks::leaks,
    web::{AppState, api::events::streamed, error::WebError, extract::Query, viewer::Viewer},
};

const PAGE: u32 = 40;
/// More than any configuration runs side by side.
const MAX_RUNNING: u32 = 100;
/// The list is fetched again at most that often.
const LIVE_PAUSE: Duration = Duration::from_millis(700);

#[derive(Debug, Deserialize)]
pub(in crate::web) struct ListQuery {
    status: Option<Status>,
    before: Option<TaskId>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    /// Folders of ended tasks that could not be removed.
    leaks: Vec<String>,
    /// What all tasks together used today; none when that is nothing.
    today: Option<String>,
    filters: Vec<FilterLink>,
    running: Vec<Row>,
    others: Vec<Row>,
    /// The address of the next page.
    older: Option<String>,
    is_first_page: bool,
    is_filtered: bool,
}

struct FilterLink {
    word: &'static str,
    address: String,
    count: u64,
    is_current: bool,
}

struct Row {
    id: TaskId,
    title: String,
    source: String,
    status: Status,
    stage: Option<&'static str>,
    mode: &'static str,
    model: String,
    created: Timestamp,
    /// Of a task that ended: how long it took.
    took: Option<String>,
    /// Of a running task: since when.
    since: Option<Timestamp>,
    steps: Option<String>,
    cost: Option<String>,
    diff: Option<DiffSummary>,
    rating: Option<Rating>,
    failure: Option<String>,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(query): Query<ListQuery>,
) -> Result<Response, WebError> {
    let is_first_page = query.before.is_none();
    let scope = viewer.scope();
    let filter = TaskFilter { status: query.status, before: query.before, ..TaskFilter::new(scope, PAGE + 1) };
    let mut tasks = state.db.tasks(filter).await?;
    let is_last = tasks.len() <= PAGE as usize;
    tasks.truncate(PAGE as usize);
    let older = tasks.last().filter(|_| !is_last).map(|task| address(query.status, Some(&task.id)));

    let (mut running, mut others) = (Vec::new(), tasks);
    if query.status.is_none() {
        others.retain(|task| task.status != Status::Running);
        if is_first_page {
            let filter = TaskFilter { status: Some(Status::Running), ..TaskFilter::new(scope, MAX_RUNNING) };
            running = state.db.tasks(filter).await?;
        }
    }
    let leaks = if viewer.person.is_owner() {
        leaks(&state.data_dir, &state.db).await.map_err(WebError::internal)?
    } else {
        Vec::new()
    };
    page(&ListPage {
        leaks: leaks.iter().map(|path| path.display().to_string()).collect(),
        today: today(&state, scope).await?,
        filters: filters(&state, scope, query.status).await?,
        running: running.into_iter().map(Row::new).collect(),
        others: others.into_iter().map(Row::new).collect(),
        older,
        is_first_page,
        is_filtered: query.status.is_some(),
    })
}

async fn today(state: &AppState, scope: Scope) -> Result<Option<String>, WebError> {
    let (used, limits) = (state.db.usage_today(scope).await?, state.config.agent.day_limits);
    if used.tokens() == 0 {
        return Ok(None);
    }
    let of_cost = limits.max_cost_usd.map(|limit| format!(" of ${limit:.2}")).unwrap_or_default();
    let of_tokens = limits.max_tokens.map(|limit| format!(" of {}", figures::count(limit))).unwrap_or_default();
    let unpriced = match used.unpriced_tokens {
        0 => String::new(),
        tokens => format!(", {} of them without a price", figures::count(tokens)),
    };
    let tokens = figures::count(used.tokens());
    Ok(Some(format!("${:.2}{of_cost} · {tokens}{of_tokens} tokens{unpriced}", used.cost_usd)))
}

/// Says that something changed; the script then fetches the list again.
pub(in crate::web) async fn live(State(state): State<AppState>, viewer: Viewer) -> Response {
    // Also for tasks of others: the places of one's own in the queue may be new.
    let listening = (state.db.changes(), state.vitals.obstacles.clone(), state.shutdown.clone());
    let messages = stream::unfold(listening, async |(mut changes, mut obstacles, shutdown)| {
        let changed = tokio::select! {
            changed = changes.recv() => changed.map(drop),
            Ok(()) = obstacles.changed() => Ok(()),
            () = shutdown.cancelled() => return None,
        };
        if changed == Err(RecvError::Closed) {
            return None;
        }
        // Many changes in a row are one for the reader.
        tokio::time::sleep(LIVE_PAUSE).await;
        // A browser drops an event without data.
        let event = sse::Event::default().event("change").data("list");
        Some((Ok::<_, Infallible>(event), (changes.resubscribe(), obstacles, shutdown)))
    });
    streamed(messages, viewer.dismissed(state.db))
}

async fn filters(state: &AppState, scope: Scope, current: Option<Status>) -> Result<Vec<FilterLink>, WebError> {
    let mut links = Vec::new();
    for status in Status::ALL {
        links.push(FilterLink {
            word: status.as_str(),
            address: address(Some(status), None),
            count: state.db.count_tasks(scope, status).await?,
            is_current: current == Some(status),
        });
    }
    let count = links.iter().map(|link| link.count).sum();
    links.insert(0, FilterLink { word: "all", address: address(None, None), count, is_current: current.is_none() });
    Ok(links)
}

fn address(status: Option<Status>, before: Option<&TaskId>) -> String {
    let status = status.map(|status| format!("status={}", status.as_str()));
    let before = before.map(|id| format!("before={id}"));
    let query: Vec<String> = status.into_iter().chain(before).collect();
    if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&")) }
}

impl Row {
    fn new(task: Task) -> Self {
        Self {
            title: task.instruction.title().to_owned(),
            source: task.source.label(),
            status: task.status,
            stage: task.stage.filter(|_| task.status == Status::Running).map(super::task_view::stage_word),
            mode: task.mode.as_str(),
            model: task.model.to_string(),
            created: task.created_at,
            took: task.started_at.zip(task.finished_at).map(|(start, end)| figures::between(start, end)),
            since: task.started_at.filter(|_| task.status == Status::Running),
            // Zeros say nothing; the eye is to find what was used.
            steps: Some(task.steps).filter(|steps| *steps > 0).map(|steps| tr_count!(steps, "{n} step", "{n} steps")),
            cost: Some(task.usage).filter(|usage| usage.tokens() > 0).map(figures::cost),
            rating: task.feedback.map(|feedback| feedback.rating),
            diff: task.diff.filter(|diff| diff.files > 0),
            failure: task.failure.map(|failure| failure.kind.as_str().replace('_', " ")),
            id: task.id,
        }
    }
}
