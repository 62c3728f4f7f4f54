//! What people leave out of results.

use rusqlite::params;

use super::{Db, DbError, events, tasks};
use crate::domain::{choice::LeftOut, event::EventBody, patch::DiffSummary, task_id::TaskId};

impl Db {
    pub(crate) async fn left_out(&self, id: &TaskId) -> Result<LeftOut, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT left_out FROM tasks WHERE id = ?1")?;
            let stored: Option<String> = statement.query_row([id.as_str()], |row| row.get(0))?;
            Ok(stored.map(|json| serde_json::from_str(&json)).transpose()?.unwrap_or_default())
        })
        .await
    }

    /// With what the patch comes to then. `NotEnded` while there is no result.
    pub(crate) async fn set_left_out(&self, id: &TaskId, left_out: LeftOut, diff: DiffSummary) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            if !tasks::find(transaction, id)?.status.is_final() {
                return Err(DbError::NotEnded);
            }
            transaction.prepare_cached("UPDATE tasks SET left_out = ?2, diff = ?3 WHERE id = ?1")?.execute(params![
                id.as_str(),
                serde_json::to_string(&left_out)?,
                serde_json::to_string(&diff)?
            ])?;
            events::append(transaction, id, &EventBody::Choice { left_out: left_out.count(), diff })
        })
        .await
    }
}
