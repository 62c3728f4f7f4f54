//! From wherever a task is to a container whose agent works.
//!
//! | the last server, or Docker, ended during | then |
//! |---|---|
//! | fetch, setup | everything again from nothing, on the same commit |
//! | agent, container runs | its container is taken back: nothing is done twice |
//! | agent, container gone | a new container on the kept workspace; the conversation goes on |
//! | agent, and the workspace is gone (it is in no backup) | the task fails |

use std::fmt;

use super::{
    Pipeline,
    checkpoint::Checkpoint,
    stages::{clean_up, earlier_work, fetch, setup},
};
use crate::{
    brain,
    db::Record,
    domain::{
        event::EventBody,
        failure::{Failure, FailureKind},
        task::{Stage, Task},
    },
    sandbox::Container,
};

/// One attempt at a task. Numbers count from 1; taking a container back is no new attempt.
pub(super) struct Attempt<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// As it is stored when the attempt begins.
    pub(super) task: Task,
    pub(super) number: u32,
    /// What broke the attempt before off, if there was one.
    pub(super) after: Restarted,
}

/// What a task may go on after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restarted {
    Server,
    Docker,
}

/// A task under which the server or Docker ends this often is given up: it may be the reason.
const MAX_ATTEMPTS: u32 = 3;

/// Brings the task to where its agent can work.
pub(super) async fn prepared(attempt: &mut Attempt<'_>, checkpoint: &mut Checkpoint) -> anyhow::Result<Container> {
    let Attempt { pipeline, task, .. } = &*attempt;
    let (pipeline, task) = (*pipeline, task.clone());
    let task = &task;
    match (task.stage, &checkpoint.prepared) {
        // Nothing was begun yet.
        (None, _) => begin(pipeline, task, checkpoint).await,
        (Some(_), Some(_)) if !pipeline.data_dir.task(&task.id).git().exists() => Err(workspace_lost().into()),
        (Some(stage), Some(_)) => {
            if stage == Stage::Agent
                && let Some(container) = attempt.running_container().await?
            {
                pipeline.note(task, format!("{}; the task goes on in its container.", attempt.after)).await?;
                return Ok(container);
            }
            attempt
                .again("the task goes on in a new container", brain::after_loss(&pipeline.db, &task.id).await?)
                .await?;
            clean_up::end_container(pipeline, task).await?;
            setup::renew(pipeline, task, checkpoint).await
        }
        (Some(_), None) => {
            attempt.again("the task begins anew", Record::default()).await?;
            clean_up::end_container(pipeline, task).await?;
            clean_up::remove_workspace(pipeline, &task.id).await;
            begin(pipeline, task, checkpoint).await
        }
    }
}

/// What the agent did is gone, and the rest of its conversation would be about it.
pub(super) fn workspace_lost() -> Failure {
    let message = "The workspace of the task is gone: it is in no backup, and the server was restored from one. Start the \
                   task again.";
    Failure::new(FailureKind::ServerRestarted, message)
}

async fn begin(pipeline: &Pipeline, task: &Task, checkpoint: &mut Checkpoint) -> anyhow::Result<Container> {
    let earlier = checkpoint.fetched.clone();
    pipeline.db.advance(&task.id, checkpoint.to_json()?, Stage::Fetch).await?;
    let fetched = checkpoint.fetched.insert(fetch::fetch(pipeline, task, earlier).await?);
    let fetched = fetched.clone();
    pipeline.db.advance(&task.id, checkpoint.to_json()?, Stage::Setup).await?;
    let (container, snapshot) = setup::setup(pipeline, task, &fetched).await?;
    checkpoint.earlier = Box::pin(earlier_work::bring_back(pipeline, task, &fetched)).await?;
    checkpoint.prepared = Some(snapshot);
    pipeline.db.advance(&task.id, checkpoint.to_json()?, Stage::Agent).await?;
    Ok(container)
}

impl Attempt<'_> {
    /// Makes this the next attempt, if Docker broke this one off and there were not enough. Waits for Docker.
    pub(super) async fn follows(&mut self, failure: &mut Failure) -> anyhow::Result<bool> {
        if !matches!(failure.kind, FailureKind::DockerRestart | FailureKind::DockerUnavailable) {
            return Ok(false);
        }
        if self.number >= MAX_ATTEMPTS {
            let message = &failure.message;
            failure.message =
                format!("{message} The task was begun {MAX_ATTEMPTS} times; start it again once Docker stays up.");
            return Ok(false);
        }
        self.pipeline.warn(&self.task, format!("{} ({})", failure.message, failure.kind.as_str())).await?;
        self.pipeline.gate.docker_answers().await;
        self.task = self.pipeline.db.task(&self.task.id).await?;
        self.after = Restarted::Docker;
        Ok(true)
    }

    /// The container of the task, if it still runs. A machine that starts up may bring Docker later than us.
    async fn running_container(&self) -> anyhow::Result<Option<Container>> {
        let engine = &self.pipeline.engine;
        Ok(self.pipeline.with_docker(&self.task.id, || engine.running(&self.task.id)).await?)
    }

    /// Begins the next attempt, unless there were enough.
    async fn again(&mut self, what_follows: &str, mut record: Record) -> anyhow::Result<()> {
        let next = self.number + 1;
        if next > MAX_ATTEMPTS {
            let message = format!(
                "The server ended {MAX_ATTEMPTS} times while the task ran, so it was not begun once more. Find out why in \
                 the log of the server, then start the task again."
            );
            return Err(Failure::new(FailureKind::ServerRestarted, message).into());
        }
        let message = format!("{}; {what_follows} (attempt {next} of {MAX_ATTEMPTS}).", self.after);
        record.events.insert(0, EventBody::Note { message });
        self.pipeline.db.begin_attempt(&self.task.id, next, record).await?;
        self.number = next;
        Ok(())
    }
}

impl fmt::Display for Restarted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "The server was restarted",
            Self::Docker => "Docker was restarted",
        })
    }
}
