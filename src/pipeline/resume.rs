//! From wherever a task is to a container whose agent works.
//!
//! | the last server ended during | then |
//! |---|---|
//! | fetch, setup | everything again from nothing, on the same commit |
//! | agent, container runs | its container is taken back: nothing is done twice |
//! | agent, container gone | a new container on the kept workspace; the conversation goes on |

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Pipeline,
    checkpoint::Checkpoint,
    stages::{clean_up, fetch, setup},
};
use crate::{
    brain,
    db::Record,
    domain::{
        event::EventBody,
        failure::{Failure, FailureKind},
        task::{Stage, Task},
    },
    sandbox::{Container, SandboxError},
};

/// One attempt at a task. Numbers count from 1; taking a container back is no new attempt.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) task: &'a Task,
    pub(super) number: u32,
}

/// A task whose server ends this often is given up: it may be the reason.
const MAX_ATTEMPTS: u32 = 3;

/// Brings the task to where its agent can work.
pub(super) async fn prepared(attempt: Attempt<'_>, checkpoint: &mut Checkpoint) -> anyhow::Result<Container> {
    let Attempt { pipeline, task, .. } = attempt;
    match (task.stage, &checkpoint.prepared) {
        // Nothing was begun yet.
        (None, _) => begin(pipeline, task, checkpoint).await,
        (Some(stage), Some(_)) => {
            if stage == Stage::Agent
                && let Some(container) = attempt.running_container().await?
            {
                pipeline.note(task, "The server was restarted; the task goes on in its container.").await?;
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

async fn begin(pipeline: &Pipeline, task: &Task, checkpoint: &mut Checkpoint) -> anyhow::Result<Container> {
    let earlier = checkpoint.fetched.take();
    let fetched = checkpoint.fetched.insert(fetch::fetch(pipeline, task, earlier).await?);
    let fetched = fetched.clone();
    pipeline.db.advance(&task.id, checkpoint.to_json()?, Stage::Setup).await?;
    let (container, snapshot) = setup::setup(pipeline, task, &fetched).await?;
    checkpoint.prepared = Some(snapshot);
    pipeline.db.advance(&task.id, checkpoint.to_json()?, Stage::Agent).await?;
    Ok(container)
}

impl Attempt<'_> {
    /// The container of the task, if it still runs. A machine that starts up may bring Docker later than us.
    async fn running_container(&self) -> anyhow::Result<Option<Container>> {
        const FIRST_WAIT: Duration = Duration::from_millis(500);
        const LONGEST_WAIT: Duration = Duration::from_secs(30);
        let mut wait = FIRST_WAIT;
        loop {
            match self.pipeline.engine.running(&self.task.id).await {
                Ok(container) => return Ok(container),
                Err(error @ SandboxError::Unavailable { .. }) => {
                    if wait == FIRST_WAIT {
                        self.pipeline.warn(self.task, format!("The task waits: {error}")).await?;
                    }
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Begins the next attempt, unless there were enough.
    async fn again(&self, what_follows: &str, mut record: Record) -> anyhow::Result<()> {
        let next = self.number + 1;
        if next > MAX_ATTEMPTS {
            let message = format!(
                "The server ended {MAX_ATTEMPTS} times while the task ran, so it was not begun once more. Find out why in \
                 the log of the server, then start the task again."
            );
            return Err(Failure::new(FailureKind::ServerRestarted, message).into());
        }
        let message = format!("The server was restarted; {what_follows} (attempt {next} of {MAX_ATTEMPTS}).");
        record.events.insert(0, EventBody::Note { message });
        self.pipeline.db.begin_attempt(&self.task.id, next, record).await?;
        Ok(())
    }
}
