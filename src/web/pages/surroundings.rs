//! What the page of a task says although nothing happens to the task: its place in the queue, what holds up every task.

use std::time::Duration;

use tokio::sync::{broadcast, watch};

use crate::{
    domain::{
        task::{Status, Task},
        task_id::TaskId,
    },
    pipeline::obstacle::Obstacles,
    web::{AppState, error::WebError, notice, waiting::Waiting},
};

/// Follows them for one page. Dropping it is all it takes to stop.
pub(super) struct Surroundings {
    state: AppState,
    obstacles: watch::Receiver<Obstacles>,
    changes: broadcast::Receiver<TaskId>,
    shown: Option<Shown>,
}

#[derive(Clone, PartialEq)]
struct Shown {
    notices: Vec<String>,
    /// Why the task waits, as long as it does.
    waiting: Option<String>,
}

/// Many changes in a row are one for the reader.
const PAUSE: Duration = Duration::from_millis(300);

impl Surroundings {
    pub(super) fn of(state: &AppState) -> Self {
        let (obstacles, changes) = (state.vitals.obstacles.clone(), state.db.changes());
        Self { state: state.clone(), obstacles, changes, shown: None }
    }

    /// Waits until the page of a task in this status has something new to say. May be dropped while it waits.
    pub(super) async fn changed(&mut self, task: &Task) -> Result<(), WebError> {
        loop {
            let waiting = match task.status {
                Status::Queued => Some(Waiting::of(&self.state, task).await?.message()),
                _ => None,
            };
            if self.is_news(waiting) {
                return Ok(());
            }
            tokio::select! {
                Ok(()) = self.obstacles.changed() => {}
                // The place of who waits changes when another task does.
                _ = self.changes.recv(), if task.status == Status::Queued => {}
                // The server ends.
                else => std::future::pending().await,
            }
            tokio::time::sleep(PAUSE).await;
            self.changes = self.changes.resubscribe();
        }
    }

    fn is_news(&mut self, waiting: Option<String>) -> bool {
        let now = Some(Shown { notices: notice::now(&self.state), waiting });
        let is_news = self.shown != now;
        self.shown = now;
        is_news
    }
}
