//! A task goes on: what people tell it after its first instruction, and why it may not be able to.

use super::queue::Queue;
use crate::{
    brain,
    db::DbError,
    domain::{
        limits::LimitsWish,
        pull_request::PullRequestState,
        source::Source,
        task::{Status, Task},
        task_id::TaskId,
        turn::{FollowUp, NewFollowUp},
    },
};

/// Why a task is not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTold {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}")]
    CannotGoOn(Obstacle),
    /// The message of the limit, which says what it is and how much was used.
    #[error("{0}")]
    LimitReached(String),
    #[error("Limits can be set when a task goes on after its end, not while it runs or waits.")]
    LimitsWhileItRuns,
}

/// What keeps a task that has ended from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error(
        "The task cannot go on: its steps and conversation are kept no longer ([retention] logs_days). Start a new task with \
         what is left of its result."
    )]
    ConversationGone,
    #[error(
        "The task cannot go on: the archive it began with is kept no longer ([retention] uploads_days). Start a new task with \
         the code as it is now."
    )]
    UploadGone,
    #[error(
        "The task cannot go on: its changes are kept no longer ([retention] uploads_days), or not since it was restored from a \
         backup. Start a new task; diff.patch of this one can be applied by hand."
    )]
    ChangesGone,
    #[error("The result of the task is being published. Wait until it is done.")]
    BeingPublished,
}

impl Queue {
    /// Keeps what a person says, for a task in any status. Once this returns, it is not lost whatever happens to the server.
    pub(crate) async fn tell(&self, id: &TaskId, new: NewFollowUp) -> Result<FollowUp, NotTold> {
        if let Some(known) = self.db().told_before(id, new.clone()).await? {
            return Ok(known);
        }
        let task = self.db().task(id).await?;
        if task.status.is_final() {
            if let Some(obstacle) = self.obstacle(&task).await? {
                return Err(NotTold::CannotGoOn(obstacle));
            }
            if let Some(reached) = brain::limit_of_task(&task.limits.with(new.limits), task.steps, task.usage) {
                return Err(NotTold::LimitReached(reached.message));
            }
        } else if new.limits != LimitsWish::default() {
            return Err(NotTold::LimitsWhileItRuns);
        }
        let told = self.db().tell(id, new, self.room_for(task.owner)).await?;
        if told.begins_turn {
            self.look_again();
        }
        Ok(told)
    }

    /// Why a task that has ended cannot go on; none of one that can.
    pub(crate) async fn obstacle(&self, task: &Task) -> Result<Option<Obstacle>, DbError> {
        let has_work = task.diff.is_some_and(|diff| diff.files > 0);
        if task.steps > 0 && !self.db().has_conversation(&task.id).await? {
            return Ok(Some(Obstacle::ConversationGone));
        }
        if matches!(task.source, Source::Archive { .. }) && !self.data_dir().task(&task.id).upload().exists() {
            return Ok(Some(Obstacle::UploadGone));
        }
        if task.pull_request.as_ref().is_some_and(|known| known.state == PullRequestState::Publishing) {
            return Ok(Some(Obstacle::BeingPublished));
        }
        if has_work && !self.data_dir().task(&task.id).changes().exists() {
            return Ok(Some(Obstacle::ChangesGone));
        }
        Ok(None)
    }

    /// At the start: a server that was killed between the end of a task and this left what was said last unread.
    pub(super) async fn go_on_with_all_unread(&self) -> Result<(), DbError> {
        for id in self.db().completed_with_unread().await? {
            self.go_on_with_unread(&id).await?;
        }
        Ok(())
    }

    /// A task that was completed while somebody said more goes on with that, if its limits let it.
    pub(super) async fn go_on_with_unread(&self, id: &TaskId) -> Result<(), DbError> {
        let task = self.db().task(id).await?;
        if task.status != Status::Completed
            || self.db().unread(id).await?.is_empty()
            || brain::limit_of_task(&task.limits, task.steps, task.usage).is_some()
        {
            return Ok(());
        }
        self.db().go_on_with_unread(id).await?;
        self.look_again();
        Ok(())
    }
}
