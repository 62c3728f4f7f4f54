//! What on a forge began a task, and what its issue was told.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Db, DbError};
use crate::domain::{
    task_id::TaskId,
    trigger::{Answer, Trigger},
};

impl Db {
    /// The task that a wish began, if it did.
    pub(crate) async fn task_of_trigger(&self, trigger: Trigger) -> Result<Option<TaskId>, DbError> {
        self.read(move |connection| find(connection, &trigger)).await
    }

    /// The answers that are due, the oldest tasks first.
    pub(crate) async fn answers_due(&self) -> Result<Vec<(TaskId, Trigger, Answer)>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task_id, content, status IN ('queued', 'running') FROM triggers JOIN tasks ON id = task_id
                 WHERE told IS NULL OR (told = 'begun' AND status NOT IN ('queued', 'running'))
                 ORDER BY task_id",
            )?;
            let mut rows = statement.query([])?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                let (id, content): (String, String) = (row.get(0)?, row.get(1)?);
                let answer = if row.get(2)? { Answer::Begun } else { Answer::Ended };
                due.push((id.parse().map_err(|_| DbError::NoSuchTask)?, serde_json::from_str(&content)?, answer));
            }
            Ok(due)
        })
        .await
    }

    /// The issue was told, or never will be.
    pub(crate) async fn note_answer(&self, id: &TaskId, answer: Answer) -> Result<(), DbError> {
        let id = id.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE triggers SET told = ?2 WHERE task_id = ?1")?
                .execute([id.as_str(), answer.as_str()])?;
            Ok(())
        })
        .await
    }
}

/// With the task it begins; `AskedBefore` when there is one already.
pub(super) fn insert(connection: &Connection, id: &TaskId, trigger: &Trigger) -> Result<(), DbError> {
    if let Some(begun) = find(connection, trigger)? {
        return Err(DbError::AskedBefore(begun));
    }
    connection
        .prepare_cached("INSERT INTO triggers (task_id, forge, key, content) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.as_str(), trigger.forge, trigger.key, serde_json::to_string(trigger)?])?;
    Ok(())
}

fn find(connection: &Connection, trigger: &Trigger) -> Result<Option<TaskId>, DbError> {
    let mut statement = connection.prepare_cached("SELECT task_id FROM triggers WHERE forge = ?1 AND key = ?2")?;
    let id: Option<String> = statement.query_row([&trigger.forge, &trigger.key], |row| row.get(0)).optional()?;
    id.map(|id| id.parse().map_err(|_| DbError::NoSuchTask)).transpose()
}
