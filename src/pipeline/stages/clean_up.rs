//! Clean up: nothing of a task runs on, and its workspace goes. What people look at is in the logs by now.

use std::{path::Path, time::Duration};

use crate::{
    domain::{
        task::{Stage, Task},
        task_id::TaskId,
    },
    pipeline::Pipeline,
    remove_tree::{RemoveTreeError, remove_tree},
    sandbox::Ownership,
};

/// Removes the container, running or not, and the network. Waits for Docker: nothing is looked at, and no task ends, while
/// its container may run.
pub(crate) async fn end_container(pipeline: &Pipeline, task: &Task) -> anyhow::Result<()> {
    Ok(pipeline.with_docker(&task.id, || pipeline.engine.discard(&task.id)).await?)
}

/// Removes the workspace; the upload stays, so that the task can be started again.
pub(crate) async fn clean_up(pipeline: &Pipeline, task: &Task) {
    let _ = pipeline.db.enter_stage(&task.id, Stage::CleanUp).await;
    remove_workspace(pipeline, &task.id).await;
}

/// Removes what a result is published from.
pub(crate) async fn remove_snapshots(pipeline: &Pipeline, id: &TaskId) {
    if let Err(error) = remove(&pipeline.data_dir.task(id).git()).await {
        tracing::warn!(%error, "the snapshots stay until [retention] takes them");
    }
}

/// What cannot be removed is a leak: people are told of it, and it ends nothing.
pub(crate) async fn remove_workspace(pipeline: &Pipeline, id: &TaskId) {
    let folder = pipeline.data_dir.task(id);
    let existing: Vec<_> = folder.hostile().into_iter().filter(|path| path.exists()).collect();
    if !existing.is_empty()
        && let Err(error) = pipeline.give(id, existing, Ownership::Server).await
    {
        tracing::error!(%error, "cannot take the workspace back");
    }
    for path in folder.workspace() {
        if let Err(error) = remove(&path).await {
            tracing::error!(%error, "the workspace leaks");
        }
    }
}

/// Unpacking or a snapshot that was broken off may still write for a moment, on a thread that nobody can stop; it fails
/// once its folder is gone.
async fn remove(path: &Path) -> Result<(), RemoveTreeError> {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(200);
    for _ in 1..TRIES {
        if remove_tree(path).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    remove_tree(path).await
}
