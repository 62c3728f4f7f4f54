//! Workspaces that outlived their task because they could not be removed. The disk is asked, not a list: no restart of
//! the server forgets a leak, and one that somebody removed by hand is none any more.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::{Pipeline, stages::clean_up::remove_workspace};
use crate::{
    blocking::{self, BlockingError},
    data_dir::{DataDir, TaskDir},
    db::{Db, DbError},
    domain::task_id::TaskId,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaksError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("cannot look for workspaces that were left over: {0}")]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}

/// Every part of a workspace that no task works in any more.
pub(crate) async fn leaks(data_dir: &DataDir, db: &Db) -> Result<Vec<PathBuf>, LeaksError> {
    let mut leaks = Vec::new();
    for (name, parts) in workspaces(data_dir).await? {
        if is_abandoned(db, &name).await? {
            // The task may have ended, and cleaned up, after the disk was asked.
            leaks.extend(parts.into_iter().filter(|part| part.symlink_metadata().is_ok()));
        }
    }
    Ok(leaks)
}

/// Tries again to remove what is left over: whatever held it may be gone.
pub(crate) async fn retry(pipeline: &Pipeline) -> Result<(), LeaksError> {
    let left_over = leaks(&pipeline.data_dir, &pipeline.db).await?;
    let folders: BTreeSet<&Path> = left_over.iter().filter_map(|part| part.parent()).collect();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(id) = name.parse() {
            remove_workspace(pipeline, &id).await;
        } else {
            tracing::warn!(folder = %folder.display(), "nothing of ours; remove it by hand");
        }
    }
    Ok(())
}

async fn is_abandoned(db: &Db, name: &str) -> Result<bool, DbError> {
    let Ok(id) = name.parse::<TaskId>() else { return Ok(true) };
    match db.task(&id).await {
        Ok(task) => Ok(task.status.is_final()),
        Err(DbError::NoSuchTask) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Folders of tasks that hold more than an upload, by name, with what they hold.
async fn workspaces(data_dir: &DataDir) -> Result<Vec<(String, Vec<PathBuf>)>, LeaksError> {
    let tasks = data_dir.tasks();
    let look = move || -> io::Result<Vec<_>> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(tasks)? {
            let folder = folder?;
            let parts = TaskDir::at(folder.path()).workspace();
            let parts: Vec<_> = parts.into_iter().filter(|part| part.symlink_metadata().is_ok()).collect();
            if !parts.is_empty() {
                found.push((folder.file_name().to_string_lossy().into_owned(), parts));
            }
        }
        Ok(found)
    };
    Ok(blocking::run(look).await??)
}
