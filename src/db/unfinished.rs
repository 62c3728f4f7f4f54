//! Running tasks: how far each is, so that whoever starts the server next goes on with it.

use std::time::Duration;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Db, DbError, Ending, Record, record, tasks};
use crate::{
    domain::{
        task::{Stage, Task},
        task_id::TaskId,
    },
    redact,
};

/// A running task with what is known of the work on it.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished {
    /// Its stage is none as long as no work was begun.
    pub(crate) task: Task,
    /// Counts from 1.
    pub(crate) attempt: u32,
    /// For how long it has run, without the time in which no server did.
    pub(crate) worked: Duration,
    /// What the stages left for each other, in their own words.
    pub(crate) checkpoint: Option<Value>,
    /// How it will end, once that is decided.
    pub(crate) decided: Option<Decided>,
    /// Its result is on disk: the workspace is of no more use.
    pub(crate) is_collected: bool,
}

/// How a task will end, decided while it still runs. It never changes once it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decided {
    #[serde(flatten)]
    pub(crate) ending: Ending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<String>,
}

impl Db {
    /// All running tasks, those that started first before the others.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Unfinished>, DbError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT * FROM tasks WHERE status = 'running' ORDER BY position")?;
            let mut rows = statement.query([])?;
            let mut unfinished = Vec::new();
            while let Some(row) = rows.next()? {
                unfinished.push(from_row(row)?);
            }
            Ok(unfinished)
        })
        .await
    }

    /// A stage is over: what it leaves and the entry into the next one are stored together.
    pub(crate) async fn advance(&self, id: &TaskId, checkpoint: Value, next: Stage) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction
                .prepare_cached("UPDATE tasks SET checkpoint = ?2 WHERE id = ?1 AND status = 'running'")?
                .execute(params![id.as_str(), checkpoint.to_string()])?;
            tasks::enter(transaction, id, next)
        })
        .await
    }

    /// The work begins anew. What the agent was answered is forgotten: the next one counts its requests from the start.
    pub(crate) async fn begin_attempt(&self, id: &TaskId, attempt: u32, record: Record) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction.execute("DELETE FROM replies WHERE task_id = ?1", [id.as_str()])?;
            transaction.execute("UPDATE tasks SET attempt = ?2 WHERE id = ?1", params![id.as_str(), attempt])?;
            record::add(transaction, id, &record)
        })
        .await
    }

    /// The clock of a task: for how long it has run.
    pub(crate) async fn set_worked(&self, id: &TaskId, worked: Duration) -> Result<(), DbError> {
        let milliseconds = u64::try_from(worked.as_millis()).unwrap_or(u64::MAX);
        let id = id.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE tasks SET worked_ms = max(worked_ms, ?2) WHERE id = ?1")?
                .execute(params![id.as_str(), milliseconds])?;
            Ok(())
        })
        .await
    }

    /// Decides how a running task will end, unless that is decided already; returns what counts. From now on the task
    /// keeps the stage it is in, unless it completes.
    pub(crate) async fn decide(&self, id: &TaskId, decided: Decided) -> Result<Decided, DbError> {
        self.write_task(id, move |transaction, id| {
            let counts: Option<String> = transaction
                .prepare_cached(
                    "UPDATE tasks SET ending = coalesce(ending, ?2) WHERE id = ?1 AND status = 'running' RETURNING ending",
                )?
                .query([id.as_str(), &redact::to_json(&decided)?])?
                .next()?
                .map(|row| row.get(0))
                .transpose()?;
            Ok(serde_json::from_str(&counts.ok_or(DbError::Ended)?)?)
        })
        .await
    }
}

pub(super) fn from_row(row: &Row<'_>) -> Result<Unfinished, DbError> {
    let json = |column: &str| row.get::<_, Option<String>>(column);
    Ok(Unfinished {
        task: tasks::from_row(row)?,
        attempt: row.get("attempt")?,
        worked: Duration::from_millis(row.get("worked_ms")?),
        checkpoint: json("checkpoint")?.as_deref().map(serde_json::from_str).transpose()?,
        decided: json("ending")?.as_deref().map(serde_json::from_str).transpose()?,
        is_collected: row.get("collected")?,
    })
}
