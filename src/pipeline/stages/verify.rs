//! Verify: the server runs the checks itself, on the source as it came in with the patch and nothing else of the agent's, in a new
//! container: after `setup.sh`, without network. What comes of it is told beside the patch; it fails no task.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    agent::listed,
    clean_up,
    fetch::{Fetched, agents_files, bring},
    setup,
    watch::{disk_limit, watched_trees},
};
use crate::{
    artifacts::CappedLog,
    blocking,
    config::RunBy,
    db::Ending,
    domain::{
        event::{EventBody, milliseconds},
        failure::{Failure, FailureKind},
        task::{Stage, Task},
        verification::{LOGS, Verdict, Verification, VerifiedStatus, check_log},
    },
    git::{KeptChanges, Snapshots},
    pipeline::{Pipeline, checkpoint::Checkpoint, ending::failure_of},
    remove_tree::remove_tree,
    sandbox::{CheckEnd, CodeAccess, Container, Exit, Ownership, Purpose},
};

/// What is kept of the output of one check.
const MAX_LOG: u64 = 2 * 1024 * 1024;
/// A check that writes more is ended: nobody will read it.
const FLOOD: u64 = 256 * 1024 * 1024;
/// When the server or Docker ended so often meanwhile, they may have done so because of it.
const MAX_TRIES: u32 = 3;

/// How the stage was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// There is nothing to check, or nobody wants it checked.
    NothingToDo,
    Over(Verdict),
    /// A person does not want to wait for it.
    Stopped,
    /// The next start begins it anew.
    ServerStops,
}

/// Runs the checks of a task whose result is collected. May be done again.
pub(crate) async fn verify(
    pipeline: &Pipeline,
    task: &Task,
    checkpoint: &Checkpoint,
    cancel: &CancellationToken,
    shutdown: &CancellationToken,
) -> anyhow::Result<Left> {
    // What was collected meanwhile is in the row.
    let task = &pipeline.db.task(&task.id).await?;
    let Some(fetched) = &checkpoint.fetched else { return Ok(Left::NothingToDo) };
    let has_changes = task.diff.is_some_and(|diff| diff.files > 0);
    if pipeline.config.checks.run_by == RunBy::Agent || !task.mode.changes_code() || !has_changes {
        return Ok(Left::NothingToDo);
    }
    let mut verification = match &task.verification {
        Some(over) if over.is_over => return Ok(Left::Over(over.verdict())),
        Some(begun) => begun.clone(),
        None => {
            let agents_files = agents_files(pipeline.data_dir.task(&task.id), fetched.snapshot.clone()).await?;
            Verification::new(listed(pipeline, task, &agents_files))
        }
    };
    if verification.checks.is_empty() {
        return Ok(Left::NothingToDo);
    }
    pipeline.db.enter_stage(&task.id, Stage::Verify).await?;
    let began = Instant::now();
    let limit = pipeline.config.checks.total_timeout;
    let (mut is_stopped, mut is_late) = (false, false);
    verification.problem = loop {
        if verification.tries >= MAX_TRIES {
            break Some(format!(
                "The server or Docker ended {MAX_TRIES} times while the checks ran, so they were not begun once more."
            ));
        }
        begin(&mut verification);
        pipeline.db.set_verification(&task.id, verification.clone(), None).await?;
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                if let Err(error) = pipeline.engine.discard(&task.id).await {
                    tracing::warn!(%error, "cannot remove the container; the next start will");
                }
                return Ok(Left::ServerStops);
            }
            () = cancel.cancelled() => {
                break Some(match pipeline.queue.ending_of(&task.id) {
                    Ending::Failed(failure) => failure.message,
                    Ending::Cancelled | Ending::Completed => {
                        is_stopped = true;
                        "Somebody stopped the checks.".to_owned()
                    }
                });
            }
            () = sleep_until(began + limit) => {
                is_late = true;
                break Some(format!(
                    "The checks took longer than [checks] total_timeout_s ({} s), setup.sh included.",
                    limit.as_secs()
                ));
            }
            outcome = run(pipeline, task, fetched, &mut verification) => outcome,
        };
        let Err(error) = outcome else { break None };
        let failure = failure_of(&error);
        if !matches!(failure.kind, FailureKind::DockerRestart | FailureKind::DockerUnavailable) {
            break Some(failure.message);
        }
        pipeline.warn(task, format!("{} The checks begin anew once Docker answers.", failure.message)).await?;
        tokio::select! {
            () = pipeline.gate.docker_answers() => {}
            () = shutdown.cancelled() => return Ok(Left::ServerStops),
        }
    };
    clean_up::end_container(pipeline, task).await?;
    for check in verification.checks.iter_mut().filter(|check| check.status == VerifiedStatus::Running) {
        check.status = if is_late { VerifiedStatus::TimedOut } else { VerifiedStatus::NotRun };
    }
    verification.is_over = true;
    verification.took_ms = Some(milliseconds(began.elapsed()));
    let verdict = verification.verdict();
    let told = EventBody::Verification { verification: verification.clone() };
    pipeline.db.set_verification(&task.id, verification, Some(told)).await?;
    Ok(if is_stopped { Left::Stopped } else { Left::Over(verdict) })
}

/// Nothing of an earlier try counts.
fn begin(verification: &mut Verification) {
    let checks = verification.checks.drain(..).map(|check| (check.command, check.origin)).collect();
    *verification = Verification { tries: verification.tries + 1, ..Verification::new(checks) };
}

async fn run(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
    verification: &mut Verification,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let container = clean_copy(pipeline, task, fetched).await?;
    verification.prepared_ms = Some(milliseconds(began.elapsed()));
    for index in 0..verification.checks.len() {
        // Ends what the check before left running, and proves that there is no network. Fails closed.
        container.settle(CodeAccess::ReadWrite).await?;
        verification.checks[index].status = VerifiedStatus::Running;
        pipeline.db.set_verification(&task.id, verification.clone(), None).await?;
        run_check(pipeline, task, &container, verification, index).await?;
        let told = EventBody::Verified { number: index + 1, check: verification.checks[index].clone() };
        pipeline.db.set_verification(&task.id, verification.clone(), Some(told)).await?;
    }
    Ok(())
}

/// The source as it came in, what its `setup.sh` made of it, and the patch: in that order, so that nothing of the agent's gets near
/// a network.
async fn clean_copy(pipeline: &Pipeline, task: &Task, fetched: &Fetched) -> anyhow::Result<Container> {
    clean_up::end_container(pipeline, task).await?;
    clean_up::remove_workspace(pipeline, &task.id).await;
    let logs = pipeline.data_dir.task_logs(&task.id).join(LOGS);
    remove_tree(&logs).await?;
    fs::create_dir_all(&logs)?;
    let folder = pipeline.data_dir.task(&task.id);
    bring(pipeline, task, &folder.code(), fetched.commit.clone()).await?;
    let container = setup::make_container(pipeline, task, fetched, Purpose::Checks).await?;
    pipeline.give(&task.id, vec![folder.code()], Ownership::Server).await?;
    let source = fetched.snapshot.clone();
    let lay = move || {
        let snapshots = Snapshots::open(&folder.git())?;
        let wanted = snapshots.with_changes(&source, &KeptChanges::open(&folder.changes())?)?;
        snapshots.lay(&source, &wanted, &folder.code())
    };
    blocking::run(lay).await?.context("the patch onto the clean copy")?;
    Ok(container)
}

async fn run_check(
    pipeline: &Pipeline,
    task: &Task,
    container: &Container,
    verification: &mut Verification,
    index: usize,
) -> anyhow::Result<()> {
    let check = &mut verification.checks[index];
    let timeout = pipeline.config.checks.timeout;
    let path = pipeline.data_dir.task_logs(&task.id).join(check_log(index + 1));
    let mut log = CappedLog::create(&path, MAX_LOG)?;
    let (written, flooded) = (AtomicU64::new(0), Notify::new());
    let began = Instant::now();
    let output = |bytes: &[u8]| {
        if written.fetch_add(bytes.len() as u64, Ordering::Relaxed) > FLOOD {
            flooded.notify_one();
        } else {
            log.write(bytes);
        }
    };
    let trees = watched_trees(pipeline, task);
    let end = tokio::select! {
        end = container.run_check(check.command.as_ref(), timeout, output) => Some(end?),
        () = flooded.notified() => None,
        used = container.overfills_disk(&trees) => {
            log.finish()?;
            return Err(disk_limit(pipeline, used).into());
        }
    };
    let (status, exit_code, remark) = match end {
        Some(CheckEnd::Exited(0)) => (VerifiedStatus::Passed, Some(0), None),
        Some(CheckEnd::Exited(code)) => (VerifiedStatus::Failed, Some(code), None),
        Some(CheckEnd::TimedOut) => {
            let remark =
                format!("ended by the server: it ran longer than [checks] timeout_s ({} s)", timeout.as_secs());
            (VerifiedStatus::TimedOut, None, Some(remark))
        }
        Some(CheckEnd::Gone(exit)) => return Err(gone(exit)),
        None => {
            let remark = format!("ended by the server: it wrote more than {} MiB", FLOOD / (1024 * 1024));
            (VerifiedStatus::Failed, None, Some(remark))
        }
    };
    if let Some(remark) = remark {
        log.write(format!("\n[{remark}]\n").as_bytes());
    }
    log.finish()?;
    check.log_bytes = fs::metadata(&path)?.len();
    (check.status, check.exit_code, check.took_ms) = (status, exit_code, Some(milliseconds(began.elapsed())));
    Ok(())
}

/// A check took its container along.
fn gone(exit: Exit) -> anyhow::Error {
    let (kind, message) = match exit {
        Exit::DockerRestarted => (FailureKind::DockerRestart, "Docker was restarted while the checks ran."),
        Exit::OutOfMemory => (
            FailureKind::Oom,
            "The checks used up the memory of their container. Raise [sandbox] memory_mb, or let them do less at once.",
        ),
        Exit::Killed | Exit::Code(_) => (FailureKind::ContainerKilled, "The container ended while a check ran in it."),
    };
    Failure::new(kind, message).into()
}
