//! What the stages ask of Docker beside the work in a container: asked again until it answers.

use std::{future::Future, path::PathBuf, time::Duration};

use tokio::time::sleep;

use super::Pipeline;
use crate::{
    domain::{event::EventBody, task_id::TaskId},
    sandbox::{Ownership, SandboxError},
};

/// Before the first look whether Docker is back.
const PAUSE: Duration = Duration::from_millis(250);

impl Pipeline {
    /// Does `work` until Docker answers, however long that takes; people see why the task waits. `work` may be done again
    /// after a part of it was done.
    pub(super) async fn with_docker<T, F>(&self, id: &TaskId, work: impl Fn() -> F) -> Result<T, SandboxError>
    where
        F: Future<Output = Result<T, SandboxError>>,
    {
        let mut has_waited = false;
        loop {
            match work().await {
                Err(SandboxError::Unavailable { .. } | SandboxError::Restarted) => {}
                outcome => {
                    if has_waited {
                        self.tell(id, EventBody::Note { message: "Docker answers again.".to_owned() }).await;
                    }
                    return outcome;
                }
            }
            if !has_waited {
                let message = "Docker does not answer; the task goes on once it does.".to_owned();
                self.tell(id, EventBody::Warning { message }).await;
                has_waited = true;
            }
            sleep(PAUSE).await;
            self.gate.docker_answers().await;
        }
    }

    /// Changes owners; see [`crate::sandbox::Engine::give`].
    pub(super) async fn give(&self, id: &TaskId, trees: Vec<PathBuf>, to: Ownership) -> Result<(), SandboxError> {
        self.with_docker(id, || self.engine.give(id, trees.clone(), to)).await
    }

    /// Nobody waits in vain for a line that cannot be stored.
    async fn tell(&self, id: &TaskId, event: EventBody) {
        if let Err(error) = self.db.append_event(id, event).await {
            tracing::warn!(%error, "cannot say that the task waits for Docker");
        }
    }
}
