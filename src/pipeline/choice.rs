//! Leaving files and hunks out of a result. `diff.patch`, what is fetched and what is published hold what is chosen; beside them
//! stays everything the agent did, and a further turn goes on from that.

use std::{fs, io};

use tokio::sync::Mutex;

use super::stages::collect::write_whole;
use crate::{
    blocking,
    data_dir::{DataDir, TaskDir, WHOLE_PATCH},
    db::{Db, DbError},
    domain::{
        choice::{FileChoice, LeftOut},
        patch::DiffSummary,
        task_id::TaskId,
    },
    git::{KeptChanges, SnapshotError, Snapshots},
};

/// Why nothing can be chosen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChosen {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(
        "Nothing can be left out: the changes of the task are kept no longer ([retention] uploads_days), or by an older version \
         without what they were made from."
    )]
    Gone,
    #[error("{0} is no id of a file or hunk of this result. Look at the selection again.")]
    Unknown(String),
    #[error("{path} would be a file and a folder at once. Leave out both changes, or neither.")]
    Contradiction { path: String },
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Machinery(anyhow::Error),
}

/// One at a time, for files and row change together.
static CHOOSING: Mutex<()> = Mutex::const_new(());

/// Everything that can be left out, and what is; none where nothing can.
pub(crate) async fn choices(db: &Db, data_dir: &DataDir, id: &TaskId) -> Result<Option<Vec<FileChoice>>, NotChosen> {
    let left_out = db.left_out(id).await?;
    let changes = data_dir.task(id).changes();
    let look = move || if changes.exists() { KeptChanges::open(&changes)?.choices(&left_out) } else { Ok(None) };
    blocking::run(look).await.map_err(machinery)?.map_err(NotChosen::from)
}

/// Leaves out what `wanted` makes of what is left out now.
pub(crate) async fn choose(
    db: &Db,
    data_dir: &DataDir,
    id: &TaskId,
    wanted: impl FnOnce(LeftOut) -> LeftOut,
) -> Result<(), NotChosen> {
    let _one_at_a_time = CHOOSING.lock().await;
    if !db.task(id).await?.status.is_final() {
        return Err(DbError::NotEnded.into());
    }
    let files = choices(db, data_dir, id).await?.ok_or(NotChosen::Gone)?;
    let known = db.left_out(id).await?.among(&files);
    let left_out = wanted(known.clone());
    if let Some(unknown) = left_out.first_not_among(&files) {
        return Err(NotChosen::Unknown(unknown));
    }
    let (folder, logs, wanted) = (data_dir.task(id), data_dir.task_logs(id), left_out.clone());
    let diff = blocking::run(move || leave_out(&folder, &logs, &wanted)).await.map_err(machinery)??;
    if left_out == known {
        // Asked again: a server that was killed in the middle of it has files and row together now.
        return Ok(());
    }
    Ok(db.set_left_out(id, left_out, diff).await?)
}

/// Makes `diff.patch` and the result that is published what is chosen. Blocks.
pub(super) fn leave_out(
    folder: &TaskDir,
    logs: &std::path::Path,
    left_out: &LeftOut,
) -> Result<DiffSummary, NotChosen> {
    let chosen = KeptChanges::open(&folder.changes())?.choose(left_out)?;
    let patch = chosen.patch()?;
    Snapshots::choose_result(&folder.git(), &chosen)?;
    let (whole, shown) = (logs.join(WHOLE_PATCH), logs.join("diff.patch"));
    if left_out.is_empty() {
        if whole.exists() {
            fs::rename(&whole, &shown)?;
        }
        return Ok(patch.summary);
    }
    if !whole.exists() {
        // A second name is enough: a patch is never written into, it is exchanged.
        fs::hard_link(&shown, &whole)?;
    }
    write_whole(&shown, &patch.bytes)?;
    Ok(patch.summary)
}

fn machinery(error: impl Into<anyhow::Error>) -> NotChosen {
    NotChosen::Machinery(error.into())
}

impl From<SnapshotError> for NotChosen {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Contradiction { path } => Self::Contradiction { path },
            SnapshotError::Io(error) => Self::Disk(error),
            error => machinery(error),
        }
    }
}
