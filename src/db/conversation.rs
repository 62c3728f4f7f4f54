//! The conversation of a task with the model.

use rusqlite::{Connection, params};

use super::DbError;
use crate::{
    domain::{conversation::Message, task_id::TaskId},
    redact,
};

/// Adds a message at the end.
pub(super) fn append(connection: &Connection, id: &TaskId, message: &Message) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "INSERT INTO messages (task_id, position, message)
             VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM messages WHERE task_id = ?1), ?2)",
        )?
        .execute(params![id.as_str(), redact::to_json(message)?])?;
    Ok(())
}
