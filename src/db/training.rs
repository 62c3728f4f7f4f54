//! What training data is made of: conversations of completed tasks and the tools that were offered.

use rusqlite::{OptionalExtension, named_params, params};
use serde_json::Value;

use super::{Db, DbError};
use crate::{
    domain::{conversation::Message, feedback::Rating, model_name::ModelName, person::Scope, task_id::TaskId},
    redact,
};

/// Which completed tasks, the oldest first.
#[derive(Debug, Clone)]
pub(crate) struct TrainingFilter {
    pub(crate) scope: Scope,
    pub(crate) rating: Option<Rating>,
    pub(crate) model: Option<ModelName>,
    /// Only tasks behind this position.
    pub(crate) after: u64,
}

/// The conversation of a task.
#[derive(Debug)]
pub(crate) struct TrainingRecord {
    /// All of it, summaries included.
    pub(crate) messages: Vec<Message>,
    /// As they were offered; unknown of tasks that began before this was kept.
    pub(crate) tools: Option<Value>,
    /// Of a conversation that was summed up: how many messages before the last summary were still sent with it.
    pub(crate) kept_at_last_summary: Option<u64>,
}

impl Db {
    /// Keeps the tools that the model of a task is offered.
    pub(crate) async fn keep_offered_tools(&self, id: &TaskId, tools: Value) -> Result<(), DbError> {
        let id = id.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO offered_tools (task_id, tools) VALUES (?1, ?2)")?
                .execute(params![id.as_str(), redact::to_json(&tools)?])?;
            Ok(())
        })
        .await
    }

    /// The next task with its position.
    pub(crate) async fn next_for_training(&self, filter: TrainingFilter) -> Result<Option<(u64, TaskId)>, DbError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT position, id FROM tasks
                     WHERE status = 'completed' AND position > :after
                       AND (:owner IS NULL OR owner = :owner)
                       AND (:rating IS NULL OR rating = :rating) AND (:model IS NULL OR model = :model)
                     ORDER BY position LIMIT 1",
                )?
                .query_row(
                    named_params! {
                        ":after": filter.after,
                        ":owner": filter.scope.person().map(|person| person.0),
                        ":rating": filter.rating.map(Rating::as_str),
                        ":model": filter.model.map(|model| model.to_string()),
                    },
                    |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)),
                )
                .optional()?;
            let read = |(position, id): (u64, String)| Ok((position, id.parse().map_err(|_| DbError::NoSuchTask)?));
            found.map(read).transpose()
        })
        .await
    }

    pub(crate) async fn training_record(&self, id: &TaskId) -> Result<TrainingRecord, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT message FROM messages WHERE task_id = ?1 ORDER BY position")?;
            let messages = statement.query_map([id.as_str()], |row| row.get::<_, String>(0))?;
            let messages = messages.map(|message| Ok(serde_json::from_str(&message?)?));
            let tools: Option<String> = connection
                .prepare_cached("SELECT tools FROM offered_tools WHERE task_id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            let kept_at_last_summary = connection
                .prepare_cached(
                    "SELECT json_extract(body, '$.kept_messages') FROM events
                     WHERE task_id = ?1 AND json_extract(body, '$.kind') = 'compacted' ORDER BY seq DESC LIMIT 1",
                )?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            Ok(TrainingRecord {
                messages: messages.collect::<Result<_, DbError>>()?,
                tools: tools.as_deref().map(serde_json::from_str).transpose()?,
                kept_at_last_summary,
            })
        })
        .await
    }
}
