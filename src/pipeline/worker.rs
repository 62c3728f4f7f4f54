//! The worker: claims what waits, at most `max_running` at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{Pipeline, run_task::run_task};
use crate::{
    db::{DbError, Decided, Ending, Unfinished},
    domain::failure::{Failure, FailureKind},
};

/// Goes on with the tasks of the last run, and runs others until `shutdown`. Then those that run are left where they are,
/// for the next start.
pub(crate) async fn run(pipeline: Pipeline, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(pipeline.config.queue.max_running));
    let running = TaskTracker::new();
    let start = |task: Unfinished, slot: Option<OwnedSemaphorePermit>| {
        let (pipeline, stop) = (pipeline.clone(), shutdown.child_token());
        let span = tracing::info_span!("task", id = %task.task.id);
        let work = async move {
            bring_to_an_end(&pipeline, task, stop).await;
            drop(slot);
        };
        running.spawn(work.instrument(span));
    };
    match pipeline.db.unfinished().await {
        // They run already, even if fewer may run since.
        Ok(unfinished) => unfinished.into_iter().for_each(|task| start(task, slots.clone().try_acquire_owned().ok())),
        Err(error) => tracing::error!(%error, "cannot read the tasks of the last run; the next start will"),
    }
    if let Err(error) = pipeline.queue.go_on_with_all_unread().await {
        tracing::error!(%error, "what was said to tasks as they ended waits for the next start, or for somebody to go on");
    }
    while let Some((task, slot)) = next(&pipeline, &slots, &shutdown).await {
        start(task, Some(slot));
    }
    running.close();
    running.wait().await;
}

/// The next task, with its slot; `None` at shutdown.
async fn next(
    pipeline: &Pipeline,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(Unfinished, OwnedSemaphorePermit)> {
    let slot = tokio::select! {
        biased;
        () = shutdown.cancelled() => return None,
        slot = slots.clone().acquire_owned() => slot.ok()?,
    };
    let refused = || pipeline.models.refused().into_iter().map(|refusal| refusal.models).collect();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            () = pipeline.gate.open() => {}
        }
        match pipeline.db.claim_next(refused()).await {
            Ok(Some(claimed)) => return Some((claimed, slot)),
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

/// Whatever happens to the work, the task gets its one end; or the server stops first, and the next one goes on with it.
async fn bring_to_an_end(pipeline: &Pipeline, task: Unfinished, shutdown: CancellationToken) {
    let id = task.task.id.clone();
    let cancel = pipeline.queue.token(&id);
    let work = |task: Unfinished| {
        let (pipeline, cancel, shutdown) = (pipeline.clone(), cancel.clone(), shutdown.clone());
        tokio::spawn(async move { Box::pin(run_task(&pipeline, task, cancel, shutdown)).await }.in_current_span())
    };
    let ending = match work(task.clone()).await {
        Ok(ending) => ending,
        Err(panic) => {
            tracing::error!(%panic, "the work on a task panicked");
            // Nothing more is worked on, but what there is gets tidied up.
            let decided = Some(Decided { ending: Ending::Failed(broken()), summary: None });
            work(Unfinished { decided, ..task }).await.unwrap_or_else(|_| Some(Ending::Failed(broken())))
        }
    };
    match ending {
        None => tracing::info!("the server stops; the next start goes on with the task"),
        Some(ending) => {
            tracing::info!(status = ending.status().as_str(), "task ended");
            match pipeline.db.end_task(&id, ending).await {
                Ok(()) | Err(DbError::Ended) => {}
                Err(error) => tracing::error!(%error, "cannot store the end of the task; the next start will"),
            }
        }
    }
    pipeline.queue.finish(&id);
    // What is said from here on finds a task that has ended, and begins a turn by itself.
    if let Err(error) = pipeline.queue.go_on_with_unread(&id).await {
        tracing::error!(%error, "what was said while the task ended waits for somebody to go on");
    }
}

fn broken() -> Failure {
    let message = "The server made a mistake while it worked on this task; its log has the cause. Try again.";
    Failure::new(FailureKind::Internal, message)
}
