//! What one step adds to a task, written in one transaction before anybody acts on it.

use rusqlite::params;

use super::{Db, DbError, StoredReply, conversation, events, replies};
use crate::domain::{conversation::Message, event::EventBody, task_id::TaskId, usage::Usage};

/// Everything here is added: messages and events at the end, usage and steps onto the sums.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) messages: Vec<Message>,
    pub(crate) events: Vec<EventBody>,
    pub(crate) reply: Option<StoredReply>,
    pub(crate) usage: Usage,
    pub(crate) steps: u32,
}

impl Db {
    /// Adds `record` to a running task; `Ended` if the task runs no more.
    pub(crate) async fn record(&self, id: &TaskId, record: Record) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            let mut statement =
                transaction.prepare_cached("SELECT usage FROM tasks WHERE id = ?1 AND status = 'running'")?;
            let mut rows = statement.query([id.as_str()])?;
            let sum: String = rows.next()?.ok_or(DbError::Ended)?.get(0)?;
            let sum: Usage = serde_json::from_str(&sum)?;
            for message in &record.messages {
                conversation::append(transaction, id, message)?;
            }
            for event in &record.events {
                events::append(transaction, id, event)?;
            }
            if let Some(reply) = &record.reply {
                replies::insert(transaction, id, reply)?;
            }
            if record.steps > 0 || record.usage != Usage::default() {
                transaction
                    .prepare_cached("UPDATE tasks SET usage = ?2, steps = steps + ?3 WHERE id = ?1")?
                    .execute(params![id.as_str(), serde_json::to_string(&sum.plus(record.usage))?, record.steps])?;
            }
            Ok(())
        })
        .await
    }
}
