//! The queue: taking tasks in, and stopping them in any stage.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    data_dir::{DataDir, make_private_dir},
    db::{Db, DbError, Decided, Ending, QueueRoom},
    domain::{
        failure::Failure,
        person::PersonId,
        task::{NewTask, Status, Task},
        task_id::TaskId,
        usage::Usage,
    },
    wall_clock,
};

/// Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    db: Db,
    data_dir: DataDir,
    config: Arc<Config>,
    submitted: Notify,
    finished: Notify,
    /// Every task that a worker holds, the one that started last comes last.
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    id: TaskId,
    cancel: CancellationToken,
    /// The server itself ended it, for this reason.
    broken_off: Option<Failure>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("cannot store the task: {0}")]
    Disk(#[from] std::io::Error),
}

impl Queue {
    pub(crate) fn new(db: Db, data_dir: DataDir, config: Arc<Config>) -> Self {
        let shared = Shared {
            db,
            data_dir,
            config,
            submitted: Notify::new(),
            finished: Notify::new(),
            running: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a task. `upload` is the complete archive of an archive source; it is moved into the task's folder.
    /// Once this returns, the task survives whatever happens to the server.
    pub(crate) async fn submit(&self, new: NewTask, upload: Option<PathBuf>) -> Result<Task, SubmitError> {
        let now = wall_clock::now();
        let config = &self.shared.config;
        let task = Task {
            id: TaskId::generate(now),
            owner: new.owner,
            status: Status::Queued,
            stage: None,
            mode: new.mode,
            model: new.model.unwrap_or_else(|| config.agent.model.clone()),
            image: new.image.unwrap_or_else(|| config.sandbox.image.clone()),
            source: new.source,
            instruction: new.instruction,
            turn: 1,
            limits: config.agent.limits.with(new.limits),
            allow_hosts: new.allow_hosts,
            checks: new.checks,
            summary: None,
            failure: None,
            usage: Usage::default(),
            steps: 0,
            diff: None,
            verification: None,
            feedback: None,
            pull_request: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let room = self.room_for(task.owner);
        let folder = self.shared.data_dir.task(&task.id);
        make_private_dir(folder.path())?;
        let stored = async {
            if let Some(upload) = upload {
                tokio::fs::rename(&upload, folder.upload()).await?;
                // The name must be on disk before the row that promises it.
                tokio::fs::File::open(folder.path()).await?.sync_all().await?;
            }
            self.shared.db.insert_task(task.clone(), new.trigger, room).await?;
            Ok(())
        };
        if let Err(error) = stored.await {
            // Nothing half-made stays; the folder holds at most our own upload.
            let _ = tokio::fs::remove_file(folder.upload()).await;
            let _ = tokio::fs::remove_dir(folder.path()).await;
            return Err(error);
        }
        self.shared.submitted.notify_one();
        Ok(task)
    }

    /// Stops a task in whatever stage it is. A waiting task is cancelled when this returns; a running one is told to
    /// stop and ends within seconds. Cancelling twice, or a task that ended, changes nothing.
    pub(crate) async fn cancel(&self, id: &TaskId) -> Result<(), DbError> {
        match self.shared.db.cancel_queued(id).await {
            Err(DbError::Ended) => {
                // On disk first: a server that is killed now ends the task all the same.
                let decided = Decided { ending: Ending::Cancelled, summary: None };
                match self.shared.db.decide(id, decided).await {
                    Ok(_) | Err(DbError::Ended) => {}
                    Err(error) => return Err(error),
                }
                // The worker may have claimed the task and not listed it yet: it finds the cancelled token then.
                self.token(id).cancel();
                if self.shared.db.task(id).await?.status.is_final() {
                    self.finish(id);
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// How many tasks may wait, in all and of this person.
    pub(super) fn room_for(&self, owner: PersonId) -> QueueRoom {
        let settings = &self.shared.config.queue;
        let of_one = (owner != PersonId::OWNER).then_some(settings.max_queued_per_person);
        QueueRoom { of_all: settings.max_queued, of_one }
    }

    pub(super) fn db(&self) -> &Db {
        &self.shared.db
    }

    pub(super) fn data_dir(&self) -> &DataDir {
        &self.shared.data_dir
    }

    /// A task that had to wait may start now.
    pub(super) fn look_again(&self) {
        self.shared.submitted.notify_one();
    }

    /// Waits until a task may have come.
    pub(super) async fn submitted(&self) {
        self.shared.submitted.notified().await;
    }

    /// What cancels a task that a worker holds, until it is finished.
    pub(super) fn token(&self, id: &TaskId) -> CancellationToken {
        let mut running = self.running();
        if let Some(known) = running.iter().find(|known| known.id == *id) {
            return known.cancel.clone();
        }
        let cancel = CancellationToken::new();
        running.push(Running { id: id.clone(), cancel: cancel.clone(), broken_off: None });
        cancel
    }

    /// Ends the task that started last, unless it is ending already. Its ending is this failure.
    pub(super) fn break_off_newest(&self, failure: Failure) -> Option<TaskId> {
        let mut running = self.running();
        let newest = running.iter_mut().rfind(|task| !task.cancel.is_cancelled())?;
        newest.broken_off = Some(failure);
        newest.cancel.cancel();
        Some(newest.id.clone())
    }

    /// How a task ends whose token was cancelled.
    pub(super) fn ending_of(&self, id: &TaskId) -> Ending {
        let running = self.running();
        let failure = running.iter().find(|task| task.id == *id).and_then(|task| task.broken_off.clone());
        failure.map_or(Ending::Cancelled, Ending::Failed)
    }

    pub(super) fn finish(&self, id: &TaskId) {
        self.running().retain(|task| task.id != *id);
        self.shared.finished.notify_one();
    }

    /// Waits until a task has ended, and what it used is free again.
    pub(super) async fn task_finished(&self) {
        self.shared.finished.notified().await;
    }

    /// Whether a worker holds any task.
    pub(super) fn holds_tasks(&self) -> bool {
        !self.running().is_empty()
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
