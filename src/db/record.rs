//! What one step adds to a task, written in one transaction before anybody acts on it; and all of it, read back.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{Db, DbError, Decided, Reading, StoredReply, conversation, day_usage, events, follow_ups, replies};
use crate::{
    domain::{conversation::Message, event::EventBody, person::PersonId, task_id::TaskId, usage::Usage},
    redact,
};

/// Messages and events are added at the end, usage and steps onto the sums.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) messages: Vec<Message>,
    pub(crate) events: Vec<EventBody>,
    pub(crate) reply: Option<StoredReply>,
    /// What people said and the model reads with this.
    pub(crate) read: Vec<Reading>,
    pub(crate) usage: Usage,
    pub(crate) steps: u32,
    /// What the brain must know beside the conversation, in its own words; takes the place of what was stored.
    pub(crate) memory: Option<Value>,
    /// With this step it is decided how the task ends.
    pub(crate) decided: Option<Decided>,
}

/// All that the steps so far have added.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) messages: Vec<Message>,
    /// The number of the last request that was answered.
    pub(crate) last_seq: Option<u64>,
    pub(crate) usage: Usage,
    pub(crate) steps: u32,
    pub(crate) memory: Option<Value>,
    pub(crate) decided: Option<Decided>,
}

impl Db {
    /// Adds `record` to a running task; `Ended` if the task runs no more.
    pub(crate) async fn record(&self, id: &TaskId, record: Record) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| add(transaction, id, &record)).await
    }

    /// Whether anything was said to a model yet, and is still kept.
    pub(crate) async fn has_conversation(&self, id: &TaskId) -> Result<bool, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM messages WHERE task_id = ?1 LIMIT 1")?;
            Ok(statement.exists([id.as_str()])?)
        })
        .await
    }

    /// Everything that was recorded of a task.
    pub(crate) async fn recorded(&self, id: &TaskId) -> Result<Recorded, DbError> {
        let id = id.clone();
        self.read(move |connection| read(connection, &id)).await
    }
}

pub(super) fn add(connection: &Connection, id: &TaskId, record: &Record) -> Result<(), DbError> {
    let mut statement =
        connection.prepare_cached("SELECT usage, owner FROM tasks WHERE id = ?1 AND status = 'running'")?;
    let mut rows = statement.query([id.as_str()])?;
    let row = rows.next()?.ok_or(DbError::Ended)?;
    let (sum, owner): (String, i64) = (row.get(0)?, row.get(1)?);
    let sum: Usage = serde_json::from_str(&sum)?;
    for message in &record.messages {
        conversation::append(connection, id, message)?;
    }
    for event in &record.events {
        events::append(connection, id, event)?;
    }
    for reading in &record.read {
        follow_ups::mark_read(connection, id, *reading)?;
    }
    if let Some(reply) = &record.reply {
        replies::insert(connection, id, reply)?;
    }
    if record.usage.tokens() > 0 {
        day_usage::add(connection, PersonId(owner), &record.usage)?;
    }
    connection
        .prepare_cached(
            "UPDATE tasks SET usage = ?2, steps = steps + ?3, memory = coalesce(?4, memory), ending = coalesce(ending, ?5)
             WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            serde_json::to_string(&sum.plus(record.usage))?,
            record.steps,
            record.memory.as_ref().map(redact::to_json).transpose()?,
            record.decided.as_ref().map(redact::to_json).transpose()?,
        ])?;
    Ok(())
}

fn read(connection: &Connection, id: &TaskId) -> Result<Recorded, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT usage, steps, memory, ending, (SELECT max(seq) FROM replies WHERE task_id = tasks.id) AS last_seq
         FROM tasks WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.as_str()])?;
    let row = rows.next()?.ok_or(DbError::NoSuchTask)?;
    let json = |column: &str| row.get::<_, Option<String>>(column);
    Ok(Recorded {
        messages: conversation::all(connection, id)?,
        last_seq: row.get("last_seq")?,
        usage: serde_json::from_str(&row.get::<_, String>("usage")?)?,
        steps: row.get("steps")?,
        memory: json("memory")?.as_deref().map(serde_json::from_str).transpose()?,
        decided: json("ending")?.as_deref().map(serde_json::from_str).transpose()?,
    })
}
