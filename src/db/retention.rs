//! What goes of tasks that ended long ago. Their rows stay: what was asked, what came of it, what it cost.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Db, DbError, events};
use crate::domain::{event::EventBody, task_id::TaskId};

const AT_A_TIME: usize = 500;

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

    /// When the first of these that have ended did so. Asks for some at a time: pages read between.
    pub(crate) async fn first_end_among(
        &self,
        ids: impl IntoIterator<Item = TaskId>,
    ) -> Result<Option<Timestamp>, DbError> {
        let (mut ids, mut first) = (ids.into_iter(), None);
        loop {
            let some: Vec<TaskId> = ids.by_ref().take(AT_A_TIME).collect();
            if some.is_empty() {
                return Ok(first);
            }
            let of_some = self.read(move |connection| first_end(connection, &some)).await?;
            first = first.into_iter().chain(of_some).min();
        }
    }

    /// Removes the conversation and the steps of a task that has ended, and leaves a remark in their place.
    pub(crate) async fn forget_steps(&self, id: &TaskId, remark: String) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction.execute("DELETE FROM messages WHERE task_id = ?1", params![id.as_str()])?;
            transaction.execute("DELETE FROM replies WHERE task_id = ?1", params![id.as_str()])?;
            transaction.execute(
                "DELETE FROM events
                 WHERE task_id = ?1 AND json_extract(body, '$.kind') NOT IN ('status', 'stage', 'turn', 'diff', 'verification')",
                params![id.as_str()],
            )?;
            events::append(transaction, id, &EventBody::Note { message: remark })
        })
        .await
    }
}
fn first_end(connection: &Connection, ids: &[TaskId]) -> Result<Option<Timestamp>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT finished_at FROM tasks WHERE id = ?1 AND finished_at IS NOT NULL")?;
    let mut first: Option<Timestamp> = None;
    for id in ids {
        let at: Option<String> = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
        first = first.into_iter().chain(at.and_then(|at| at.parse().ok())).min();
    }
    Ok(first)
}
