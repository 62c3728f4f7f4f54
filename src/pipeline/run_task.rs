//! One task, from wherever it is to the end, as straight-line code.
//!
//! Every step of it is in the database before it is acted upon: the stage, what the stage before left, how the task will
//! end. A server that was killed reads that and goes on here.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Pipeline,
    checkpoint::Checkpoint,
    ending::failure_of,
    resume::{Attempt, Restarted, prepared},
    stages::{
        agent, clean_up, collect, publish,
        verify::{self, Left},
    },
};
use crate::{
    brain::Outcome,
    config::PullRequestWhen,
    db::{DbError, Decided, Ending, Unfinished},
    domain::{
        failure::{Failure, FailureKind},
        task::{Mode, Stage, Task},
        verification::Verdict,
    },
};

/// How long collecting and cleaning up may still take when the server stops. Both can be done again.
const LAST_MOMENTS: Duration = Duration::from_secs(8);
/// The clock of a task is stored so often; a killed server forgets no more of it.
const TICK: Duration = Duration::from_secs(10);

/// Cancelling or a limit breaks the work off wherever it is; what it made so far is collected all the same, and nothing
/// of it is left running. Cleaning up listens to no cancellation. `None` when the server stops: the next start goes on.
pub(super) async fn run_task(
    pipeline: &Pipeline,
    unfinished: Unfinished,
    cancel: CancellationToken,
    shutdown: CancellationToken,
) -> Option<Ending> {
    let Unfinished { task, attempt, worked, checkpoint, decided, is_collected } = unfinished;
    let mut checkpoint = Checkpoint::read(checkpoint);
    if task.stage.is_none() {
        // What is prepared is of the turn before.
        checkpoint.prepared = None;
    }
    let decided = if let Some(decided) = decided {
        hear_the_end(pipeline, &task, &checkpoint, &decided).await;
        decided
    } else {
        let began = Instant::now();
        let attempt = Attempt { pipeline, task: task.clone(), number: attempt, after: Restarted::Server };
        let ending = tokio::select! {
            biased;
            () = cancel.cancelled() => pipeline.queue.ending_of(&task.id),
            () = time_is_up(pipeline, &task, worked) => Ending::Failed(timed_out(&task)),
            outcome = work(attempt, &mut checkpoint, &shutdown) => match outcome {
                Some(Outcome::Finished { .. }) => Ending::Completed,
                Some(Outcome::Failed(failure)) => Ending::Failed(failure),
                None => {
                    keep_time(pipeline, &task, worked_since(worked, began)).await;
                    return None;
                }
            },
        };
        decide(pipeline, &task, pipeline.gate.explain(ending)).await
    };
    let last_moments = async {
        shutdown.cancelled().await;
        sleep(LAST_MOMENTS).await;
    };
    tokio::select! {
        ending = wind_up(pipeline, &task, &checkpoint, decided, is_collected, Tokens { cancel: &cancel, shutdown: &shutdown }) => ending,
        () = last_moments => None,
    }
}

/// The stages up to the agent's last word; again from the last one that is safe when Docker ended under them.
async fn work(mut attempt: Attempt<'_>, checkpoint: &mut Checkpoint, shutdown: &CancellationToken) -> Option<Outcome> {
    loop {
        let outcome = try_once(&mut attempt, checkpoint, shutdown).await;
        let mut failure = match outcome {
            Ok(Some(Outcome::Failed(failure))) => failure,
            Ok(outcome) => return outcome,
            Err(error) => failure_of(&error),
        };
        let follows = tokio::select! {
            biased;
            follows = attempt.follows(&mut failure) => follows,
            () = shutdown.cancelled() => return None,
        };
        match follows {
            Ok(true) => {}
            Ok(false) => return Some(Outcome::Failed(failure)),
            Err(error) => return Some(Outcome::Failed(failure_of(&error))),
        }
    }
}

async fn try_once(
    attempt: &mut Attempt<'_>,
    checkpoint: &mut Checkpoint,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Outcome>> {
    let pipeline = attempt.pipeline;
    let container = tokio::select! {
        biased;
        container = prepared(attempt, checkpoint) => container?,
        () = shutdown.cancelled() => {
            // Before the agent's work began all of it is done again; nothing needs to run on until then.
            if checkpoint.prepared.is_none()
                && let Err(error) = pipeline.engine.discard(&attempt.task.id).await
            {
                tracing::warn!(%error, "cannot remove the container; the next start will");
            }
            return Ok(None);
        }
    };
    agent::agent(pipeline, &attempt.task, checkpoint, &container, shutdown).await
}

/// What may break the checks off; the rest of the way listens to neither.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    cancel: &'a CancellationToken,
    shutdown: &'a CancellationToken,
}

/// From a decision to its end. `None` when the server stops before.
async fn wind_up(
    pipeline: &Pipeline,
    task: &Task,
    checkpoint: &Checkpoint,
    decided: Decided,
    is_collected: bool,
    Tokens { cancel, shutdown }: Tokens<'_>,
) -> Option<Ending> {
    let Decided { mut ending, summary } = decided;
    if let Err(error) = clean_up::end_container(pipeline, task).await {
        tracing::error!(error = format!("{error:#}"), "cannot remove the container; the next start will");
    }
    if !is_collected && let Err(error) = collect::collect(pipeline, task, checkpoint, summary).await {
        let failure = failure_of(&error);
        // The first failure is the one to tell.
        if matches!(ending, Ending::Completed) {
            ending = Ending::Failed(failure);
        }
    }
    let is_completed = matches!(ending, Ending::Completed);
    let verified = if is_completed {
        verify::verify(pipeline, task, checkpoint, cancel, shutdown).await.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "cannot store what the checks came to");
            Left::NothingToDo
        })
    } else {
        Left::NothingToDo
    };
    if verified == Left::ServerStops {
        return None;
    }
    if is_completed
        && (task.mode == Mode::Pr || has_pull_request(task))
        && may_publish(pipeline, task, verified).await
        && let Err(error) = publish::publish(pipeline, task).await
    {
        tracing::error!(%error, "cannot store what publishing came to; the page of the task can ask for it again");
    }
    clean_up::clean_up(pipeline, task).await;
    if !is_completed || !pipeline.publisher.may_be_asked(&task.id).await.unwrap_or(true) {
        clean_up::remove_snapshots(pipeline, &task.id).await;
    }
    Some(ending)
}

/// Whether the checks let a result be published by itself; the page can always ask for it.
async fn may_publish(pipeline: &Pipeline, task: &Task, verified: Left) -> bool {
    let why = match (verified, pipeline.config.checks.pull_request) {
        (Left::Stopped, _) => "the checks were stopped",
        (Left::Over(Verdict::Failed | Verdict::Incomplete), PullRequestWhen::Passed) => "not all checks passed",
        _ => return true,
    };
    let message = format!("Not published by itself, for {why}. The page of the task can ask for it.");
    if let Err(error) = pipeline.warn(task, message).await {
        tracing::warn!(%error, "cannot say that nothing is published");
    }
    false
}

/// A further turn of a task that was published goes where the turn before went.
fn has_pull_request(task: &Task) -> bool {
    task.pull_request.as_ref().is_some_and(|known| known.number.is_some())
}

/// What was decided first counts: a brain that finished a moment before a person cancelled has finished.
async fn decide(pipeline: &Pipeline, task: &Task, ending: Ending) -> Decided {
    let decided = Decided { ending, summary: None };
    match pipeline.db.decide(&task.id, decided.clone()).await {
        Ok(decided) => decided,
        Err(error) => {
            tracing::error!(%error, "cannot store how the task will end");
            decided
        }
    }
}

/// The brain had decided, and the agent may not have heard of it: it gets a moment to write its last lines.
async fn hear_the_end(pipeline: &Pipeline, task: &Task, checkpoint: &Checkpoint, decided: &Decided) {
    if task.stage != Some(Stage::Agent) || decided.ending == Ending::Cancelled {
        return;
    }
    if let Ok(Some(container)) = pipeline.engine.running(&task.id).await {
        let heard = agent::agent(pipeline, task, checkpoint, &container, &CancellationToken::new()).await;
        tracing::debug!(?heard, "the agent heard the end");
    }
}

/// The time the task may run counts while a server works on it, by a clock that nobody can set.
async fn time_is_up(pipeline: &Pipeline, task: &Task, worked: Duration) {
    let began = Instant::now();
    let limit = Duration::from_secs(task.limits.task_timeout_s);
    loop {
        let worked = worked_since(worked, began);
        let left = limit.saturating_sub(worked);
        if left.is_zero() {
            return;
        }
        if worked >= TICK {
            keep_time(pipeline, task, worked).await;
        }
        sleep(left.min(TICK)).await;
    }
}

fn worked_since(worked: Duration, began: Instant) -> Duration {
    worked + began.elapsed()
}

async fn keep_time(pipeline: &Pipeline, task: &Task, worked: Duration) {
    match pipeline.db.set_worked(&task.id, worked).await {
        Ok(()) | Err(DbError::Ended) => {}
        Err(error) => tracing::warn!(%error, "cannot store for how long the task ran"),
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
