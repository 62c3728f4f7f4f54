//! The events of one task as they come: what is stored, then what is added, without a gap or a double.

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::AppState;
use crate::{
    db::{Db, DbError},
    domain::{
        event::{Event, EventBody},
        task::{Status, Task},
        task_id::TaskId,
    },
};

/// Follows a task from an event on. Dropping it is all it takes to stop.
pub(super) struct Feed {
    db: Db,
    changes: Receiver<TaskId>,
    shutdown: CancellationToken,
    task: TaskId,
    after: u64,
    ended: bool,
}

const PAGE: u32 = 100;

impl Feed {
    /// The events after number `after`, with the task as it is now. None when the task has ended and all were seen: an
    /// answer without content then tells an `EventSource` to stop connecting again.
    pub(super) async fn resume(state: &AppState, id: TaskId, after: u64) -> Result<Option<(Self, Task)>, DbError> {
        // Listening begins before the first read: what is added in between is not missed.
        let changes = state.db.changes();
        let task = state.db.task(&id).await?;
        if task.status.is_final() && state.db.last_seq(&id).await? <= after {
            return Ok(None);
        }
        let (db, shutdown) = (state.db.clone(), state.shutdown.clone());
        Ok(Some((Self { db, changes, shutdown, task: id, after, ended: false }, task)))
    }

    /// The next events, at least one; `None` once the task has ended or the server stops. May be dropped while it
    /// waits, nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Event>>, DbError> {
        while !self.ended && !self.shutdown.is_cancelled() {
            // The status is read first: if it is final, the page after it is complete.
            let is_final = self.db.task(&self.task).await?.status.is_final();
            let events = self.db.events_after(&self.task, self.after, PAGE).await?;
            if let Some(last) = events.last() {
                self.after = last.seq;
                // What comes after the end (a pull request) may fill a page more, and after the end of a turn may come another.
                let status = events.iter().rev().find_map(status);
                self.ended = events.len() < PAGE as usize && status.is_some_and(Status::is_final);
                return Ok(Some(events));
            }
            if is_final || !self.changed().await {
                break;
            }
        }
        Ok(None)
    }

    /// Waits until something may have been added; false when nothing will be.
    async fn changed(&mut self) -> bool {
        loop {
            let changed = tokio::select! {
                changed = self.changes.recv() => changed,
                () = self.shutdown.cancelled() => return false,
            };
            match changed {
                Ok(task) if task != self.task => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return true,
                Err(RecvError::Closed) => return false,
            }
        }
    }
}

fn status(event: &Event) -> Option<Status> {
    match event.body {
        EventBody::Status { status, .. } => Some(status),
        _ => None,
    }
}
