//! What can end the work of a container beside its own end: what it uses up, its silence, somebody who kills it.

use std::{path::PathBuf, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use crate::{
    brain::{Outcome, Session},
    domain::{
        failure::{Failure, FailureKind},
        task::Task,
    },
    pipeline::Pipeline,
    sandbox::{Container, DiskUse, Exit},
};

/// How long an agent that was told to finish may take to write its last lines.
const LAST_LINES: Duration = Duration::from_secs(3);
/// How often the agent's silence is measured.
const LISTEN: Duration = Duration::from_secs(1);

/// Waits for the end of the agent's stage, whatever brings it.
pub(super) async fn watch(
    pipeline: &Pipeline,
    task: &Task,
    container: &Container,
    session: &Session,
    outcome: &mut mpsc::UnboundedReceiver<Outcome>,
) -> anyhow::Result<Outcome> {
    let exit = container.wait();
    let trees = watched_trees(pipeline, task);
    tokio::pin!(exit);
    let exit = tokio::select! {
        biased;
        Some(outcome) = outcome.recv() => {
            let _ = tokio::time::timeout(LAST_LINES, exit).await;
            return Ok(outcome);
        }
        exit = &mut exit => exit?,
        used = container.overfills_disk(&trees) => return Ok(Outcome::Failed(disk_limit(pipeline, used))),
        silence = silence(pipeline, session) => return Ok(Outcome::Failed(silence)),
    };
    // Both may happen at once; what the brain says is the better story.
    if let Ok(outcome) = outcome.try_recv() {
        return Ok(outcome);
    }
    Ok(Outcome::Failed(ended(pipeline, container, exit).await))
}

/// What a container writes to on the disk of the server.
pub(super) fn watched_trees(pipeline: &Pipeline, task: &Task) -> Vec<PathBuf> {
    let folder = pipeline.data_dir.task(&task.id);
    vec![folder.code(), folder.output()]
}

pub(super) fn disk_limit(pipeline: &Pipeline, used: DiskUse) -> Failure {
    const MIB: u64 = 1024 * 1024;
    let limits = &pipeline.config.sandbox;
    Failure::new(
        FailureKind::DiskLimit,
        format!(
            "The task had {} MiB in {} files on the disk; allowed are [sandbox] disk_mb = {} and disk_files = {}. The work so \
             far is kept. Let it write less, or raise the limit.",
            used.bytes / MIB,
            used.files,
            limits.disk_bytes / MIB,
            limits.disk_files,
        ),
    )
}

/// Returns when the agent was silent for longer than any command may take, and then some.
async fn silence(pipeline: &Pipeline, session: &Session) -> Failure {
    let agent = &pipeline.config.agent;
    let limit = agent.command_max_timeout + agent.no_output_timeout;
    while session.silence().is_none_or(|silence| silence < limit) {
        sleep(LISTEN).await;
    }
    Failure::new(
        FailureKind::NoOutput,
        format!(
            "The agent was silent for {} s, the longest command and [agent] no_output_timeout_s together. The work so far \
             is kept; start the task again.",
            limit.as_secs()
        ),
    )
}

async fn ended(pipeline: &Pipeline, container: &Container, exit: Exit) -> Failure {
    let (kind, message) = match exit {
        Exit::OutOfMemory => (
            FailureKind::Oom,
            format!(
                "The container used up its memory ({} MiB) and was ended by the kernel. The work so far is kept. Raise \
                 [sandbox] memory_mb, or let the task do less at once.",
                pipeline.config.sandbox.memory_bytes / (1024 * 1024)
            ),
        ),
        Exit::DockerRestarted => (
            FailureKind::DockerRestart,
            "Docker was restarted, which ended the container. The work so far is kept. With Docker's live-restore setting \
             tasks outlive such a restart."
                .to_owned(),
        ),
        Exit::Killed => (
            FailureKind::ContainerKilled,
            "The container was killed from outside. The work so far is kept; start the task again.".to_owned(),
        ),
        Exit::Code(code) => {
            let kind = if code == 0 { FailureKind::AgentExited } else { FailureKind::AgentCrashed };
            let words = container.last_words().await;
            (kind, format!("The agent ended with exit code {code} before the task was done. Its last words: {words}"))
        }
    };
    Failure::new(kind, message)
}
