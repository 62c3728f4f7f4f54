//! Replies to the agent, by the number of the request.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{Db, DbError};
use crate::{domain::task_id::TaskId, redact};

/// A reply on its way into the database.
#[derive(Debug, Clone)]
pub(crate) struct StoredReply {
    pub(crate) seq: u64,
    pub(crate) reply: Value,
}

impl Db {
    /// What was answered to request `seq`, if anything was.
    pub(crate) async fn reply(&self, id: &TaskId, seq: u64) -> Result<Option<Value>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let stored: Option<String> = connection
                .prepare_cached("SELECT reply FROM replies WHERE task_id = ?1 AND seq = ?2")?
                .query_row(params![id.as_str(), seq], |row| row.get(0))
                .optional()?;
            Ok(stored.as_deref().map(serde_json::from_str).transpose()?)
        })
        .await
    }
}

pub(super) fn insert(connection: &Connection, id: &TaskId, stored: &StoredReply) -> Result<(), DbError> {
    connection.prepare_cached("INSERT INTO replies (task_id, seq, reply) VALUES (?1, ?2, ?3)")?.execute(params![
        id.as_str(),
        stored.seq,
        redact::to_json(&stored.reply)?
    ])?;
    Ok(())
}
