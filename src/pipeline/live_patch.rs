//! The patch of a task whose agent is still at work, for the model that judges it.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Pipeline;
use crate::{
    blocking,
    brain::CurrentPatch,
    data_dir::TaskDir,
    domain::{excerpt::head_and_tail, task::Task},
    git::{Snapshot, SnapshotLimits, Snapshots},
};

/// Held while the tree is looked at. Whoever takes it after the stage has ended knows that nobody looks any more.
pub(super) type Looking = Arc<Mutex<()>>;

/// More is not of use to a model.
const MAX_BYTES: usize = 200 * 1000;
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes the patch as it is at the time of the call; refuses once `done`, when the workspace is collected.
pub(super) fn current_patch(
    pipeline: &Pipeline,
    task: &Task,
    (before, after_setup): (&Snapshot, &Snapshot),
    looking: &Looking,
    done: &CancellationToken,
) -> CurrentPatch {
    let look = Look {
        folder: pipeline.data_dir.task(&task.id),
        before: before.clone(),
        after_setup: after_setup.clone(),
        limits: SnapshotLimits::from(&pipeline.config.source),
    };
    let (look, looking, done) = (Arc::new(look), looking.clone(), done.clone());
    Arc::new(move || {
        let (look, looking, done) = (look.clone(), looking.clone(), done.clone());
        async move {
            let guard = looking.lock_owned().await;
            if done.is_cancelled() {
                return Err("the task has ended".to_owned());
            }
            // The guard goes with the work, which nothing stops half-way.
            let work = blocking::run(move || (look.patch(), guard).0);
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(Ok(patch))) => Ok(patch),
                Ok(Ok(Err(error))) => Err(format!("its patch could not be made: {error:#}")),
                Ok(Err(error)) => Err(format!("its patch could not be made: {error}")),
                Err(_) => Err(format!("its patch was not made within {} s", PATIENCE.as_secs())),
            }
        }
        .boxed()
    })
}

struct Look {
    folder: TaskDir,
    before: Snapshot,
    after_setup: Snapshot,
    limits: SnapshotLimits,
}

impl Look {
    fn patch(&self) -> anyhow::Result<String> {
        let snapshots = Snapshots::open(&self.folder.git())?;
        let now = snapshots.glance(&self.folder.code(), &self.before, &self.limits)?;
        let patch = snapshots.patch(&self.before, &self.after_setup, &now)?;
        let text = String::from_utf8_lossy(&patch.bytes);
        let text = head_and_tail(&text, MAX_BYTES);
        Ok(match now.skipped.len() {
            0 => text.into_owned(),
            files => format!("{text}\n[{files} files could not be read and are not shown]\n"),
        })
    }
}
