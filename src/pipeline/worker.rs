//! The worker: claims what waits, at most `max_running` at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{Pipeline, run_task::run_task};
use crate::{
    db::{DbError, Ending},
    domain::{
        failure::{Failure, FailureKind},
        task::Task,
    },
};

/// Runs tasks until `shutdown`, then waits for those that run to be brought to their end.
pub(crate) async fn run(pipeline: Pipeline, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(pipeline.config.queue.max_running));
    let running = TaskTracker::new();
    while let Some((task, slot)) = next(&pipeline, &slots, &shutdown).await {
        let pipeline = pipeline.clone();
        let span = tracing::info_span!("task", id = %task.id);
        let stop = shutdown.child_token();
        let work = async move {
            bring_to_an_end(&pipeline, task, stop).await;
            drop(slot);
        };
        running.spawn(work.instrument(span));
    }
    running.close();
    running.wait().await;
}

/// The next task, with its slot; `None` at shutdown.
async fn next(
    pipeline: &Pipeline,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(Task, OwnedSemaphorePermit)> {
    let slot = tokio::select! {
        biased;
        () = shutdown.cancelled() => return None,
        slot = slots.clone().acquire_owned() => slot.ok()?,
    };
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            () = pipeline.gate.open() => {}
        }
        match pipeline.db.claim_next().await {
            Ok(Some(task)) => return Some((task, slot)),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot claim a task; trying again with the next submission"),
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            () = pipeline.queue.submitted() => {}
        }
    }
}

/// Whatever happens to the work, the task gets its one end.
async fn bring_to_an_end(pipeline: &Pipeline, task: Task, shutdown: CancellationToken) {
    let id = task.id.clone();
    let cancel = pipeline.queue.token(&id);
    let work = {
        let pipeline = pipeline.clone();
        tokio::spawn(async move { run_task(&pipeline, task, cancel, shutdown).await }.in_current_span())
    };
    let ending = work.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "the work on a task panicked");
        let message = "The server made a mistake while it worked on this task; its log has the cause. Try again.";
        Ending::Failed(Failure::new(FailureKind::Internal, message))
    });
    tracing::info!(status = ending.status().as_str(), "task ended");
    match pipeline.db.end_task(&id, ending).await {
        Ok(()) | Err(DbError::Ended) => {}
        Err(error) => tracing::error!(%error, "cannot store the end of the task; the next start will"),
    }
    pipeline.queue.finish(&id);
}
