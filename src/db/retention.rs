//! What goes of tasks that ended long ago. Their rows stay: what was asked, what came of it, what it cost.

use jiff::Timestamp;
use rusqlite::params;

use super::{Db, DbError, events};
use crate::domain::{event::EventBody, task_id::TaskId};

impl Db {
    /// The tasks that have ended, the one that ended first comes first.
    pub(crate) async fn ended_tasks(&self) -> Result<Vec<(TaskId, Timestamp)>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, finished_at FROM tasks WHERE finished_at IS NOT NULL ORDER BY finished_at, position",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let mut ended = Vec::new();
            for row in rows {
                let (id, at) = row?;
                ended.extend(id.parse().ok().zip(at.parse().ok()));
            }
            Ok(ended)
        })
        .await
    }

    /// Removes the conversation and the steps of a task that has ended, and leaves a remark in their place.
    pub(crate) async fn forget_steps(&self, id: &TaskId, remark: String) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction.execute("DELETE FROM messages WHERE task_id = ?1", params![id.as_str()])?;
            transaction.execute("DELETE FROM replies WHERE task_id = ?1", params![id.as_str()])?;
            transaction.execute(
                "DELETE FROM events
                 WHERE task_id = ?1 AND json_extract(body, '$.kind') NOT IN ('status', 'stage', 'turn', 'diff')",
                params![id.as_str()],
            )?;
            events::append(transaction, id, &EventBody::Note { message: remark })
        })
        .await
    }
}
