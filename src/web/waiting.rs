//! Where a queued task stands, and why it does not run yet.

use serde::Serialize;

use super::{AppState, error::WebError, language, words};
use crate::{
    db::Line,
    domain::task::Task,
    pipeline::obstacle::{Obstacle, Obstacles},
};

/// One look at the queue: good for any number of tasks.
pub(super) struct Look {
    line: Line,
    most: usize,
    obstacles: Obstacles,
    is_stopping: bool,
}

/// The place of a task, and what it waits for.
#[derive(Debug)]
pub(super) struct Waiting {
    /// 1 is the next to start.
    pub(super) position: u64,
    why: Why,
}

/// A place in the queue, as programs read it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = QueuePlace)]
pub(super) struct QueuePlace {
    /// 1 is the next to start.
    position: u64,
    /// What it waits for: `next` (it starts in a moment), `busy` (as many run as may), or what keeps every task from
    /// starting: `docker_unavailable`, `disk_reserve`, `day_budget`, `memory`, `starting`, `stopping`, or all for its model: `key_refused`.
    reason: &'static str,
    /// The reason for people.
    message: String,
}

#[derive(Debug)]
enum Why {
    Stopping,
    Obstacle(Obstacle),
    /// As many run as may.
    Full {
        running: u64,
        most: usize,
    },
    /// It starts in a moment.
    Next,
    /// Others come first.
    Turn {
        most: usize,
        before: Before,
    },
}

#[derive(Debug)]
enum Before {
    Own,
    AlsoOfOthers,
}

impl Look {
    pub(super) async fn now(state: &AppState) -> Result<Self, WebError> {
        Ok(Self {
            line: state.db.line().await?,
            most: state.config.queue.max_running,
            obstacles: state.vitals.obstacles.borrow().clone(),
            is_stopping: state.shutdown.is_cancelled(),
        })
    }

    /// How many tasks run.
    pub(super) fn running(&self) -> u64 {
        self.line.running
    }

    /// Of a task that waits.
    pub(super) fn waiting(&self, task: &Task) -> Waiting {
        let place = self.line.place(&task.id);
        let (position, running, most) = (place.before + 1, self.line.running, self.most);
        let obstacle = self.obstacles.iter().find(|obstacle| obstacle.concerns(&task.model)).cloned();
        let why = match obstacle {
            _ if self.is_stopping => Why::Stopping,
            Some(obstacle) => Why::Obstacle(obstacle),
            None if running >= most as u64 && position == 1 => Why::Full { running, most },
            None if position == 1 => Why::Next,
            None if place.of_others > 0 => Why::Turn { most, before: Before::AlsoOfOthers },
            None => Why::Turn { most, before: Before::Own },
        };
        Waiting { position, why }
    }
}

impl Waiting {
    pub(super) async fn of(state: &AppState, task: &Task) -> Result<Self, WebError> {
        Ok(Look::now(state).await?.waiting(task))
    }

    /// For people, in their language.
    pub(super) fn message(&self) -> String {
        let place = self.position;
        match &self.why {
            Why::Stopping => tr!("The server is stopping; it starts the task after its next start.").to_owned(),
            Why::Obstacle(obstacle) => {
                let obstacle = words::obstacle(obstacle);
                tr!("Waiting, place {place} in line. {obstacle}", place = place, obstacle = obstacle)
            }
            Why::Full { running, most } => {
                tr!("Next in line; {running} of at most {most} tasks are running.", running = running, most = most)
            }
            Why::Next => tr!("Next in line; it starts in a moment.").to_owned(),
            Why::Turn { most, before: Before::AlsoOfOthers } => tr!(
                "Place {place} in line; people take turns, and at most {most} tasks run at a time.",
                place = place,
                most = most
            ),
            Why::Turn { most, before: Before::Own } => {
                tr!("Place {place} in line; at most {most} tasks run at a time.", place = place, most = most)
            }
        }
    }
}

impl From<Waiting> for QueuePlace {
    fn from(waiting: Waiting) -> Self {
        let reason = match &waiting.why {
            Why::Stopping => "stopping",
            Why::Obstacle(obstacle) => obstacle.kind(),
            Why::Next => "next",
            Why::Full { .. } | Why::Turn { .. } => "busy",
        };
        Self { position: waiting.position, reason, message: language::in_english(|| waiting.message()) }
    }
}
