//! The way of one task, from the queue to its clean end.

pub(crate) mod answers;
mod checkpoint;
pub(crate) mod choice;
pub(crate) mod delivery;
pub(crate) mod disk_use;
mod docker;
mod ending;
pub(crate) mod follow_up;
pub(crate) mod gate;
pub(crate) mod housekeeping;
pub(crate) mod leaks;
mod live_patch;
pub(crate) mod observer;
pub(crate) mod obstacle;
pub(crate) mod publisher;
pub(crate) mod queue;
pub(crate) mod recovery;
mod references;
pub(crate) mod refused_keys;
mod resume;
mod run_task;
mod stages;
pub(crate) mod worker;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::{
    brain::Session,
    config::Config,
    data_dir::DataDir,
    db::{Db, DbError},
    domain::{event::EventBody, task::Task},
    llm::Models,
    sandbox::Engine,
};

/// What the stages work with.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) db: Db,
    pub(crate) queue: queue::Queue,
    pub(crate) gate: gate::Gate,
    pub(crate) data_dir: DataDir,
    pub(crate) config: Arc<Config>,
    pub(crate) engine: Engine,
    pub(crate) models: Arc<Models>,
    pub(crate) publisher: publisher::Publisher,
    pub(crate) serve_steps: ServeSteps,
}

impl Pipeline {
    /// A line for people that matters no further.
    async fn note(&self, task: &Task, message: impl Into<String>) -> Result<(), DbError> {
        self.db.append_event(&task.id, EventBody::Note { message: message.into() }).await
    }

    /// Something people should look at although the task goes on.
    async fn warn(&self, task: &Task, message: impl Into<String>) -> Result<(), DbError> {
        self.db.append_event(&task.id, EventBody::Warning { message: message.into() }).await
    }
}

/// Serves the step protocol of one session on its socket until it is told to stop. Handed in from above, since HTTP
/// belongs to `web`.
pub(crate) type ServeSteps =
    Arc<dyn Fn(UnixListener, Arc<Session>, CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;
