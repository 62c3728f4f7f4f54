//! Every minute: what nobody needs any more goes. Only what this server made is ever looked at.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Pipeline, leaks};
use crate::{
    blocking,
    config::Retention,
    db::TaskFilter,
    domain::{person::Scope, task::Status, task_id::TaskId},
    metrics::Metrics,
    remove_tree::remove_tree,
    wall_clock,
};

const PAUSE: Duration = Duration::from_mins(1);
/// More than any configuration runs side by side.
const MANY: u32 = 10_000;

/// Keeps house until `shutdown`. A round that fails is logged; the next one tries again.
pub(crate) async fn run(pipeline: Pipeline, metrics: Metrics, shutdown: CancellationToken) {
    let rounds = async {
        loop {
            round(&pipeline, &metrics).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(Box::pin(rounds)).await;
}

/// May be broken off anywhere.
async fn round(pipeline: &Pipeline, metrics: &Metrics) {
    match remove_leftovers(pipeline).await {
        Ok(removed) => metrics.leftovers_removed(removed),
        Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot look for containers nobody needs"),
    }
    if let Err(error) = leaks::retry(pipeline).await {
        tracing::warn!(%error, "cannot look for workspaces nobody needs");
    }
    if let Err(error) = retire(pipeline).await {
        tracing::warn!(error = format!("{error:#}"), "cannot remove what is kept no longer");
    }
}

/// Containers and networks whose task does not run: Docker was away when it ended.
async fn remove_leftovers(pipeline: &Pipeline) -> anyhow::Result<usize> {
    if pipeline.gate.docker_is_away() {
        return Ok(0);
    }
    // In this order: what is made after the look is not in it, and a task is running before anything is made for it.
    let made = pipeline.engine.made().await?;
    let filter = TaskFilter { status: Some(Status::Running), ..TaskFilter::new(Scope::All, MANY) };
    let live: HashSet<TaskId> = pipeline.db.tasks(filter).await?.into_iter().map(|task| task.id).collect();
    let leftovers = made.iter().filter(|made| !made.is_for(|task| live.contains(task)));
    let mut removed = 0;
    for leftover in leftovers {
        pipeline.engine.remove_made(leftover).await?;
        tracing::info!(?leftover, "removed what no task needs");
        removed += 1;
    }
    Ok(removed)
}

/// What ended tasks left: their uploads (kept for starting them again) first, then logs and steps.
async fn retire(pipeline: &Pipeline) -> anyhow::Result<()> {
    let settings = pipeline.config.retention;
    let ended = pipeline.db.ended_tasks().await?;
    let (folders, logs) = (folders_in(pipeline.data_dir.tasks()).await?, folders_in(pipeline.data_dir.logs()).await?);
    let now = wall_clock::now();
    let is_over = |at: &Timestamp, age: Option<SignedDuration>| age.is_some_and(|age| now.duration_since(*at) > age);
    for (id, at) in &ended {
        if folders.contains(id) && is_over(at, settings.uploads) {
            remove_tree(pipeline.data_dir.task(id).path()).await?;
        }
        if logs.contains(id) && is_over(at, settings.logs) {
            forget(pipeline, id, &settings).await?;
        }
    }
    match settings.max_disk_bytes {
        Some(budget) => hold_budget(pipeline, &ended, budget, &settings).await,
        None => Ok(()),
    }
}

/// Oldest first, until what is kept fits.
async fn hold_budget(
    pipeline: &Pipeline,
    ended: &[(TaskId, Timestamp)],
    budget: u64,
    settings: &Retention,
) -> anyhow::Result<()> {
    let uploads = sizes(pipeline.data_dir.tasks()).await?;
    let logs = sizes(pipeline.data_dir.logs()).await?;
    let mut kept: u64 = uploads.values().chain(logs.values()).sum();
    for (id, _) in ended {
        if let Some(size) = uploads.get(id).filter(|_| kept > budget) {
            remove_tree(pipeline.data_dir.task(id).path()).await?;
            kept = kept.saturating_sub(*size);
        }
    }
    for (id, _) in ended {
        if let Some(size) = logs.get(id).filter(|_| kept > budget) {
            forget(pipeline, id, settings).await?;
            kept = kept.saturating_sub(*size);
        }
    }
    Ok(())
}

async fn forget(pipeline: &Pipeline, id: &TaskId, settings: &Retention) -> anyhow::Result<()> {
    let remark = match (settings.logs, settings.max_disk_bytes) {
        (Some(age), None) => format!("Logs and steps were removed, as they are after {} days.", age.as_hours() / 24),
        _ => "Logs and steps were removed, as [retention] of the server says.".to_owned(),
    };
    // Logs last: they are how the next round finds the task if this one is broken off.
    pipeline.db.forget_steps(id, remark).await?;
    Ok(remove_tree(&pipeline.data_dir.task_logs(id)).await?)
}

pub(super) async fn folders_in(parent: PathBuf) -> anyhow::Result<HashSet<TaskId>> {
    let mut found = HashSet::new();
    let mut entries = tokio::fs::read_dir(parent).await?;
    while let Some(entry) = entries.next_entry().await? {
        found.extend(entry.file_name().to_str().and_then(|name| name.parse::<TaskId>().ok()));
    }
    Ok(found)
}

/// How much each task has on disk there.
async fn sizes(parent: PathBuf) -> anyhow::Result<HashMap<TaskId, u64>> {
    let folders = folders_in(parent.clone()).await?;
    let measure = move || {
        let size = |id: TaskId| {
            let bytes = bytes_beneath(&parent.join(id.as_str()));
            (id, bytes)
        };
        folders.into_iter().map(size).collect()
    };
    Ok(blocking::run(measure).await?)
}

/// Of files that are there; what goes meanwhile counts nothing. Links are not followed.
pub(super) fn bytes_beneath(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
