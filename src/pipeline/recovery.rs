//! At the start: what an earlier run of the server left half taken in. The tasks that were running go on, the worker sees
//! to that; what other tasks left in Docker and on the disk goes with the first round of `housekeeping`.

use super::Pipeline;
use crate::{db::DbError, domain::task_id::TaskId, remove_tree::remove_tree};

/// Uploads nobody was told of, and folders of tasks that never came to be, go.
pub(crate) async fn sweep(pipeline: &Pipeline) -> anyhow::Result<()> {
    let mut uploads = tokio::fs::read_dir(pipeline.data_dir.uploads()).await?;
    while let Some(upload) = uploads.next_entry().await? {
        tokio::fs::remove_file(upload.path()).await?;
    }
    let mut folders = tokio::fs::read_dir(pipeline.data_dir.tasks()).await?;
    while let Some(folder) = folders.next_entry().await? {
        // What stays is a leak, and people are told of it; a server that does not start helps nobody.
        if !is_known(pipeline, folder.file_name().to_str()).await?
            && let Err(error) = remove_tree(&folder.path()).await
        {
            tracing::error!(%error, "a folder of no task stays");
        }
    }
    Ok(())
}

async fn is_known(pipeline: &Pipeline, name: Option<&str>) -> Result<bool, DbError> {
    let Some(id) = name.and_then(|name| name.parse::<TaskId>().ok()) else { return Ok(false) };
    match pipeline.db.task(&id).await {
        Ok(_) => Ok(true),
        Err(DbError::NoSuchTask) => Ok(false),
        Err(error) => Err(error),
    }
}
