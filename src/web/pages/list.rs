//! `/`: the tasks. What runs comes first, then what waits, then what has ended, newest first.

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

use super::{
    figures, page,
    task_view::{stage_word, what_happens},
};
use crate::{
    db::{RecentRepository, TaskFilter},
    domain::{
        feedback::Rating,
        patch::DiffSummary,
        person::Scope,
        task::{Status, Task},
        task_id::TaskId,
    },
    pipeline::leaks::leaks,
    web::{
        AppState, api::events::streamed, error::WebError, extract::Query, language, owners::Owners, viewer::Viewer,
        waiting::Look, words,
    },
};

const PAGE: u32 = 40;
/// More than any configuration runs side by side.
const MAX_RUNNING: u32 = 100;
/// Of those that wait; the others are a link away.
const MAX_WAITING: u32 = 20;
const MAX_REPOSITORIES: usize = 30;
/// Counted exactly up to here.
const MAX_COUNT: u32 = 1000;
const MAX_WORDS: usize = 8;
/// The list is fetched again at most that often.
const LIVE_PAUSE: Duration = Duration::from_millis(700);

#[derive(Debug, Deserialize)]
pub(in crate::web) struct ListQuery {
    status: Option<Status>,
    before: Option<TaskId>,
    /// Words to look for.
    find: Option<String>,
    /// The URL of a repository; empty for all.
    repository: Option<String>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    /// Folders of ended tasks that could not be removed.
    leaks: Vec<String>,
    /// What all tasks together used today; none when that is nothing.
    today: Option<String>,
    filters: Vec<FilterLink>,
    find: String,
    repository: String,
    repositories: Vec<RecentRepository>,
    sections: Vec<Section>,
    /// In a sentence, for who does not see the list.
    summary: String,
    /// The address of the next page.
    older: Option<String>,
    is_first_page: bool,
    is_filtered: bool,
}

struct FilterLink {
    word: &'static str,
    address: String,
    count: Option<String>,
    is_current: bool,
}

struct Section {
    id: &'static str,
    /// None where one section is all there is.
    heading: Option<&'static str>,
    rows: Vec<Row>,
    /// Where the rest is.
    more: Option<String>,
}

struct Row {
    id: TaskId,
    title: String,
    /// Whose it is, where several people are.
    owner: Option<String>,
    source: String,
    status: Status,
    stage: Option<&'static str>,
    mode: &'static str,
    model: String,
    created: Timestamp,
    /// Of a running task what happens, of a waiting one why it waits.
    now: Option<String>,
    /// Since when that is so.
    now_since: Option<Timestamp>,
    /// Of a task that ended: how long it took.
    took: Option<String>,
    /// Of a running task: since when.
    since: Option<Timestamp>,
    steps: Option<String>,
    cost: Option<String>,
    diff: Option<DiffSummary>,
    rating: Option<Rating>,
    failure: Option<&'static str>,
}

/// What the rows of a page need to know besides their tasks.
struct Around {
    look: Look,
    owners: Owners,
}

/// What is looked for, as it stands in the address.
#[derive(Clone)]
struct Wanted {
    status: Option<Status>,
    find: String,
    repository: String,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(query): Query<ListQuery>,
) -> Result<Response, WebError> {
    let scope = viewer.scope();
    let text = |text: Option<String>| text.unwrap_or_default().trim().chars().take(500).collect::<String>();
    let wanted = Wanted { status: query.status, find: text(query.find), repository: text(query.repository) };
    let is_first_page = query.before.is_none();
    let around = Around { look: Look::now(&state).await?, owners: Owners::seen_by(&state, scope).await? };
    let mut sections = Vec::new();
    if wanted.status.is_none() && is_first_page {
        sections.push(running(&state, &around, scope, &wanted).await?);
        sections.push(waiting(&state, &around, scope, &wanted).await?);
    }
    let only_ended = wanted.status.is_none();
    let filter = TaskFilter { only_ended, before: query.before, ..wanted.filter(scope, PAGE + 1) };
    let mut tasks = state.db.tasks(filter).await?;
    let is_last = tasks.len() <= PAGE as usize;
    tasks.truncate(PAGE as usize);
    let older = tasks.last().filter(|_| !is_last).map(|task| wanted.address(Some(&task.id)));
    let rows = rows(&state, &around, tasks).await?;
    let has_others = sections.iter().any(|section| !section.rows.is_empty());
    let heading = has_others.then(|| tr!("Ended"));
    let summary = summary(&sections);
    sections.push(Section { id: "ended", heading, rows, more: None });
    sections.retain(|section| !section.rows.is_empty());
    let leaks = if viewer.person.is_owner() {
        leaks(&state.data_dir, &state.db).await.map_err(WebError::internal)?
    } else {
        Vec::new()
    };
    page(&ListPage {
        leaks: leaks.iter().map(|path| path.display().to_string()).collect(),
        today: today(&state, scope).await?,
        filters: filters(&state, scope, &wanted).await?,
        repositories: state.db.recent_repositories(scope, MAX_REPOSITORIES).await?,
        sections,
        summary,
        older,
        is_first_page,
        is_filtered: wanted.status.is_some() || wanted.is_search(),
        find: wanted.find,
        repository: wanted.repository,
    })
}

async fn rows(state: &AppState, around: &Around, tasks: Vec<Task>) -> Result<Vec<Row>, WebError> {
    let mut rows = Vec::with_capacity(tasks.len());
    for task in tasks {
        rows.push(Row::of(state, around, task).await?);
    }
    Ok(rows)
}

async fn running(state: &AppState, around: &Around, scope: Scope, wanted: &Wanted) -> Result<Section, WebError> {
    let filter = TaskFilter { status: Some(Status::Running), ..wanted.filter(scope, MAX_RUNNING) };
    let rows = rows(state, around, state.db.tasks(filter).await?).await?;
    Ok(Section { id: "running", heading: Some(tr!("Running")), rows, more: None })
}

/// The next to start is the first.
async fn waiting(state: &AppState, around: &Around, scope: Scope, wanted: &Wanted) -> Result<Section, WebError> {
    let status = Some(Status::Queued);
    let limit = u32::try_from(state.config.queue.max_queued).unwrap_or(u32::MAX);
    let filter = TaskFilter { status, ..wanted.filter(scope, limit) };
    let mut tasks = state.db.tasks(filter).await?;
    tasks.sort_by_cached_key(|task| around.look.waiting(task).position);
    let more = tasks.len().saturating_sub(MAX_WAITING as usize);
    tasks.truncate(MAX_WAITING as usize);
    let rows = rows(state, around, tasks).await?;
    let more = (more > 0).then(|| Wanted { status, ..wanted.clone() }.address(None));
    Ok(Section { id: "waiting", heading: Some(tr!("Waiting")), rows, more })
}

/// What a live region says when it changes.
fn summary(sections: &[Section]) -> String {
    let count = |id: &str| sections.iter().find(|section| section.id == id).map_or(0, |section| section.rows.len());
    tr!("{running} running, {waiting} waiting", running = count("running"), waiting = count("waiting"))
}

async fn today(state: &AppState, scope: Scope) -> Result<Option<String>, WebError> {
    let (used, limits) = (state.db.usage_today(scope).await?, state.config.agent.day_limits);
    if used.tokens() == 0 {
        return Ok(None);
    }
    let cost = format!("${:.2}", used.cost_usd);
    let cost = match limits.max_cost_usd {
        Some(limit) => tr!("{used} of {limit}", used = cost, limit = format!("${limit:.2}")),
        None => cost,
    };
    let tokens = match limits.max_tokens {
        Some(limit) => tr!("{used} of {limit}", used = figures::count(used.tokens()), limit = figures::count(limit)),
        None => figures::count(used.tokens()),
    };
    let tokens = tr!("{tokens} tokens", tokens = tokens);
    Ok(Some(match used.unpriced_tokens {
        0 => format!("{cost} · {tokens}"),
        unpriced => {
            let unpriced = tr!("{tokens} of them without a price", tokens = figures::count(unpriced));
            format!("{cost} · {tokens} · {unpriced}")
        }
    }))
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

/// Counts are those of all tasks, so they are not shown beside a search.
async fn filters(state: &AppState, scope: Scope, wanted: &Wanted) -> Result<Vec<FilterLink>, WebError> {
    let mut links = vec![FilterLink {
        word: tr!("all"),
        address: Wanted { status: None, ..wanted.clone() }.address(None),
        count: None,
        is_current: wanted.status.is_none(),
    }];
    for status in Status::ALL {
        let count = if wanted.is_search() {
            None
        } else {
            Some(match state.db.count_up_to(MAX_COUNT, scope, status).await? {
                count if count < MAX_COUNT.into() => count.to_string(),
                _ => format!("{}+", MAX_COUNT - 1),
            })
        };
        links.push(FilterLink {
            word: language::word(status.as_str()),
            address: Wanted { status: Some(status), ..wanted.clone() }.address(None),
            count,
            is_current: wanted.status == Some(status),
        });
    }
    Ok(links)
}

impl ListPage {
    /// A repository that no task of late was about can be asked for all the same.
    fn is_unlisted(&self) -> bool {
        !self.repository.is_empty() && self.repositories.iter().all(|recent| recent.url.as_str() != self.repository)
    }
}

impl Wanted {
    fn is_search(&self) -> bool {
        !self.find.is_empty() || !self.repository.is_empty()
    }

    fn filter(&self, scope: Scope, limit: u32) -> TaskFilter {
        TaskFilter {
            status: self.status,
            repository: Some(self.repository.clone()).filter(|repository| !repository.is_empty()),
            words: self.find.split_whitespace().take(MAX_WORDS).map(str::to_owned).collect(),
            ..TaskFilter::new(scope, limit)
        }
    }

    fn address(&self, before: Option<&TaskId>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(status) = self.status {
            query.append_pair("status", status.as_str());
        }
        for (name, value) in [("find", &self.find), ("repository", &self.repository)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(before) = before {
            query.append_pair("before", before.as_str());
        }
        match query.finish() {
            query if query.is_empty() => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }
}

impl Row {
    async fn of(state: &AppState, around: &Around, task: Task) -> Result<Self, WebError> {
        let (now, now_since) = match task.status {
            Status::Queued => (Some(around.look.waiting(&task).message()), None),
            Status::Running => {
                let event = state.db.newest_event(&task.id).await?;
                event.map(|event| (what_happens(&event, &task), event.at)).unzip()
            }
            Status::Completed | Status::Failed | Status::Cancelled => (None, None),
        };
        Ok(Self {
            title: task.instruction.title().to_owned(),
            owner: around.owners.of(&task),
            source: task.source.label(),
            status: task.status,
            stage: task.stage.filter(|_| task.status == Status::Running).map(stage_word),
            mode: language::word(task.mode.as_str()),
            model: task.model.to_string(),
            created: task.created_at,
            now,
            now_since,
            took: task.started_at.zip(task.finished_at).map(|(start, end)| figures::between(start, end)),
            since: task.started_at.filter(|_| task.status == Status::Running),
            // Zeros say nothing; the eye is to find what was used.
            steps: Some(task.steps).filter(|steps| *steps > 0).map(|steps| tr_count!(steps, "{n} step", "{n} steps")),
            cost: Some(task.usage).filter(|usage| usage.tokens() > 0).map(figures::cost),
            rating: task.feedback.map(|feedback| feedback.rating),
            diff: task.diff.filter(|diff| diff.files > 0),
            failure: task.failure.map(|failure| words::failure(failure.kind)),
            id: task.id,
        })
    }
}
