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

/// All messages, in order.
pub(super) fn all(connection: &Connection, id: &TaskId) -> Result<Vec<Message>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT message FROM messages WHERE task_id = ?1 ORDER BY position")?;
    let messages = statement.query_map([id.as_str()], |row| row.get::<_, String>(0))?;
    messages.map(|message| Ok(serde_json::from_str(&message?)?)).collect()
}
