//! Publish: the result of a task of mode `pr` becomes a branch and a pull request. What comes of it is a matter of its own: the
//! task is completed, and its patch is there.

use crate::{
    db::{Consent, DbError},
    domain::{
        pull_request::PullRequestState,
        task::{Stage, Task},
    },
    pipeline::Pipeline,
};

/// May be done again: what was published already stays as it is.
pub(crate) async fn publish(pipeline: &Pipeline, task: &Task) -> Result<(), DbError> {
    let known = pipeline.db.task(&task.id).await?.pull_request;
    if known.is_some_and(|known| known.turn == task.turn && known.state != PullRequestState::Publishing) {
        return Ok(());
    }
    pipeline.db.enter_stage(&task.id, Stage::Publish).await?;
    // Under way already: the server was killed during it.
    pipeline.db.begin_publishing(&task.id, Consent::NotAsked).await?;
    pipeline.publisher.publish(&task.id).await
}
