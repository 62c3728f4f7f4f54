//! One task, from the claim to the end, as straight-line code.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Pipeline,
    ending::failure_of,
    stages::{agent, clean_up, collect, fetch, setup},
};
use crate::{
    brain::Outcome,
    db::Ending,
    domain::{
        failure::{Failure, FailureKind},
        task::Task,
    },
};

/// What the stages leave for each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) before: Option<fetch::Fetched>,
    pub(super) prepared: Option<setup::Prepared>,
    pub(super) summary: Option<String>,
}

/// Cancelling or a limit breaks the work off wherever it is; what it made so far is collected all the same, and nothing
/// of it is left running. Cleaning up listens to no cancellation.
pub(super) async fn run_task(
    pipeline: &Pipeline,
    task: Task,
    cancel: CancellationToken,
    shutdown: CancellationToken,
) -> Ending {
    let mut progress = Progress::default();
    let limit = Duration::from_secs(task.limits.task_timeout_s);
    let mut ending = tokio::select! {
        biased;
        () = cancel.cancelled() => pipeline.queue.ending_of(&task.id),
        () = shutdown.cancelled() => Ending::Failed(stopped()),
        worked = tokio::time::timeout(limit, work(pipeline, &task, &mut progress)) => match worked {
            Ok(Ok(ending)) => ending,
            Ok(Err(error)) => Ending::Failed(failure_of(&error)),
            Err(_) => Ending::Failed(timed_out(&task)),
        },
    };
    ending = pipeline.gate.explain(ending);
    if !matches!(ending, Ending::Completed)
        && let Err(error) = pipeline.db.halt(&task.id).await
    {
        tracing::error!(%error, "cannot store that the work broke off");
    }
    if let Err(error) = clean_up::end_container(pipeline, &task).await {
        tracing::error!(error = format!("{error:#}"), "cannot remove the container; the next start will");
    }
    if let Err(error) = collect::collect(pipeline, &task, &progress).await {
        let failure = failure_of(&error);
        // The first failure is the one to tell.
        if matches!(ending, Ending::Completed) {
            ending = Ending::Failed(failure);
        }
    }
    clean_up::clean_up(pipeline, &task).await;
    ending
}

async fn work(pipeline: &Pipeline, task: &Task, progress: &mut Progress) -> anyhow::Result<Ending> {
    let fetched = progress.before.insert(fetch::fetch(pipeline, task).await?);
    let prepared = progress.prepared.insert(setup::setup(pipeline, task, fetched).await?);
    match agent::agent(pipeline, task, fetched, prepared).await? {
        Outcome::Finished { summary } => {
            progress.summary = Some(summary);
            Ok(Ending::Completed)
        }
        Outcome::Failed(failure) => Ok(Ending::Failed(failure)),
    }
}

fn timed_out(task: &Task) -> Failure {
    let limit = task.limits.task_timeout_s;
    Failure::new(
        FailureKind::Timeout,
        format!(
            "The task took longer than its limit of {limit} s. The work so far is kept; start again with a higher task_timeout_s."
        ),
    )
}

fn stopped() -> Failure {
    Failure::new(
        FailureKind::ServerRestarted,
        "The server was stopped while the task ran. The work so far is kept; start the task again.",
    )
}
