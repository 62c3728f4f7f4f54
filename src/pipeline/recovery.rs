//! At the start: whatever an earlier run of the server left half done is brought to a clear end.

use std::collections::HashSet;

use crate::{
    db::{Ending, TaskFilter},
    domain::{
        failure::{Failure, FailureKind},
        task::Status,
        task_id::TaskId,
    },
    remove_tree::remove_tree,
};

use super::{Pipeline, leaks, stages::clean_up};

/// Tasks that were running have failed; their containers, networks and workspaces go. Tasks that wait go on waiting.
pub(crate) async fn recover(pipeline: &Pipeline) -> anyhow::Result<()> {
    match pipeline.engine.remove_leftovers().await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed containers and networks of the last run"),
        Err(error) => tracing::warn!(%error, "cannot look for containers of the last run"),
    }
    loop {
        let filter = TaskFilter { status: Some(Status::Running), limit: 100, ..TaskFilter::default() };
        let interrupted = pipeline.db.tasks(filter).await?;
        if interrupted.is_empty() {
            break;
        }
        for task in interrupted {
            pipeline.db.halt(&task.id).await?;
            clean_up::clean_up(pipeline, &task).await;
            let message = "The server was restarted while the task ran. Start the task again.";
            let failure = Failure::new(FailureKind::ServerRestarted, message);
            pipeline.db.end_task(&task.id, Ending::Failed(failure)).await?;
        }
    }
    remove_orphans(pipeline).await?;
    Ok(leaks::retry(pipeline).await?)
}

/// Uploads nobody was told of, and folders of tasks that never came to be.
async fn remove_orphans(pipeline: &Pipeline) -> anyhow::Result<()> {
    let mut uploads = tokio::fs::read_dir(pipeline.data_dir.uploads()).await?;
    while let Some(upload) = uploads.next_entry().await? {
        tokio::fs::remove_file(upload.path()).await?;
    }
    let mut folders = tokio::fs::read_dir(pipeline.data_dir.tasks()).await?;
    let known: HashSet<TaskId> = pipeline.db.task_ids().await?.into_iter().collect();
    while let Some(folder) = folders.next_entry().await? {
        let name = folder.file_name().into_string().unwrap_or_default();
        if !name.parse().is_ok_and(|id: TaskId| known.contains(&id)) {
            // What stays is a leak, and people are told of it; a server that does not start helps nobody.
            if let Err(error) = remove_tree(&folder.path()).await {
                tracing::error!(%error, "a folder of no task stays");
            }
        }
    }
    Ok(())
}
