//! What a person thought of a task that has ended.

use rusqlite::params;

use super::{Db, DbError, tasks};
use crate::{
    domain::{
        feedback::{Feedback, Rating},
        task_id::TaskId,
    },
    redact,
};

impl Db {
    /// Keeps it in the place of what was said before; `None` takes that back. `NotEnded` while there is no result.
    pub(crate) async fn set_feedback(&self, id: &TaskId, feedback: Option<Feedback>) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            if !tasks::find(transaction, id)?.status.is_final() {
                return Err(DbError::NotEnded);
            }
            let (rating, comment) = match &feedback {
                Some(Feedback { rating, comment }) => (Some(rating.as_str()), comment.as_deref().map(redact::mask)),
                None => (None, None),
            };
            transaction
                .prepare_cached("UPDATE tasks SET rating = ?2, comment = ?3 WHERE id = ?1")?
                .execute(params![id.as_str(), rating, comment])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn from_columns(rating: Option<Rating>, comment: Option<String>) -> Option<Feedback> {
    rating.map(|rating| Feedback { rating, comment })
}
