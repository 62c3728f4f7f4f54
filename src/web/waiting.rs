//! Where a queued task stands, and why it does not run yet.

use serde::Serialize;

use super::{AppState, error::WebError};
use crate::domain::{
    person::Scope,
    task::{Status, Task},
};

/// A place in the queue.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = QueuePlace)]
pub(super) struct Waiting {
    /// 1 is the next to start.
    pub(super) position: u64,
    /// What it waits for: `next` (it starts in a moment), `busy` (as many run as may), or what keeps every task from
    /// starting: `docker_unavailable`, `disk_reserve`, `day_budget`, `memory`, `starting`, `stopping`, or all for its model: `key_refused`.
    reason: &'static str,
    /// The reason for people.
    pub(super) message: String,
}

impl Waiting {
    pub(super) async fn of(state: &AppState, task: &Task) -> Result<Self, WebError> {
        let place = state.db.queue_place(task.owner, &task.id).await?;
        let position = place.before + 1;
        let running = state.db.count_tasks(Scope::All, Status::Running).await?;
        let most = state.config.queue.max_running;
        let obstacle = state.vitals.obstacles.borrow().iter().find(|obstacle| obstacle.concerns(&task.model)).cloned();
        let (reason, message) = match obstacle {
            _ if state.shutdown.is_cancelled() => {
                ("stopping", "The server is stopping; it starts the task after its next start.".to_owned())
            }
            Some(obstacle) => (obstacle.kind(), format!("Waiting, place {position} in line. {obstacle}")),
            None if running >= most as u64 && position == 1 => {
                ("busy", format!("Next in line; {running} of at most {most} tasks are running."))
            }
            None if position == 1 => ("next", "Next in line; it starts in a moment.".to_owned()),
            None if place.of_others > 0 => {
                let message =
                    format!("Place {position} in line; people take turns, and at most {most} tasks run at a time.");
                ("busy", message)
            }
            None => ("busy", format!("Place {position} in line; at most {most} tasks run at a time.")),
        };
        Ok(Self { position, reason, message })
    }
}
