//! Tasks: submit, claim, move on, end. A task that has ended never changes again, but
//! for what people think of it, how it is published, and another turn (`task_turns`).

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Db, DbError, Unfinished, events, feedback, triggers, turns, unfinished};
use crate::{
    domain::{
        event::EventBody,
        failure::Failure,
        model_name::Models,
        patch::DiffSummary,
        person::{PersonId, Scope},
        task::{Stage, Status, Task},
        task_id::TaskId,
        trigger::Trigger,
        verification::Verification,
    },
    redact, wall_clock,
};

/// How many tasks may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueRoom {
    pub(crate) of_all: u64,
    /// Of the person whose task it is; `None` sets no limit of their own.
    pub(crate) of_one: Option<u64>,
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", content = "failure", rename_all = "snake_case")]
pub(crate) enum Ending {
    Completed,
    Failed(Failure),
    Cancelled,
}

impl Ending {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

impl Db {
    /// Queues a task, unless as many as may wait already.
    pub(crate) async fn insert_task(
        &self,
        task: Task,
        trigger: Option<Trigger>,
        room: QueueRoom,
    ) -> Result<(), DbError> {
        let id = task.id.clone();
        self.write_task(&id, move |transaction, id| {
            require_room(transaction, task.owner, room)?;
            insert(transaction, &task)?;
            if let Some(trigger) = &trigger {
                triggers::insert(transaction, id, trigger)?;
            }
            events::append(transaction, id, &EventBody::Status { status: task.status, failure: None })
        })
        .await
    }

    pub(crate) async fn task(&self, id: &TaskId) -> Result<Task, DbError> {
        let id = id.clone();
        self.read(move |connection| find(connection, &id)).await
    }

    /// Whether the task is one of those that are seen.
    pub(crate) async fn is_in_scope(&self, scope: Scope, id: &TaskId) -> Result<bool, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT owner FROM tasks WHERE id = ?1")?;
            let owner = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
            Ok(owner.is_some_and(|owner| scope.contains(PersonId(owner))))
        })
        .await
    }

    /// How many tasks are in a status.
    pub(crate) async fn count_tasks(&self, scope: Scope, status: Status) -> Result<u64, DbError> {
        self.read(move |connection| {
            let count = match scope {
                Scope::All => connection
                    .prepare_cached("SELECT count(*) FROM tasks WHERE status = ?1")?
                    .query_row([status.as_str()], |row| row.get(0)),
                Scope::Of(person) => connection
                    .prepare_cached("SELECT count(*) FROM tasks WHERE owner = ?1 AND status = ?2")?
                    .query_row(params![person.0, status.as_str()], |row| row.get(0)),
            };
            Ok(count?)
        })
        .await
    }

    /// Makes the task that is next a running one, of those whose model is not among `refused`.
    pub(crate) async fn claim_next(&self, refused: Vec<Models>) -> Result<Option<Unfinished>, DbError> {
        let claimed = self
            .write(move |transaction| {
                let Some(id) = turns::take(transaction, &refused)? else { return Ok(None) };
                transaction
                    .prepare_cached("UPDATE tasks SET status = 'running', started_at = ?2 WHERE id = ?1")?
                    .execute([id.as_str(), &wall_clock::now().to_string()])?;
                events::append(transaction, &id, &EventBody::Status { status: Status::Running, failure: None })?;
                let mut statement = transaction.prepare_cached("SELECT * FROM tasks WHERE id = ?1")?;
                let mut rows = statement.query([id.as_str()])?;
                rows.next()?.map(unfinished::from_row).transpose()
            })
            .await?;
        if let Some(claimed) = &claimed {
            let _ = self.changes.send(claimed.task.id.clone());
        }
        Ok(claimed)
    }

    pub(crate) async fn enter_stage(&self, id: &TaskId, stage: Stage) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| enter(transaction, id, stage)).await
    }

    /// Keeps the explanation and the counts of the patch: what is to be shown of the task is on disk.
    pub(crate) async fn set_result(
        &self,
        id: &TaskId,
        summary: Option<String>,
        diff: Option<DiffSummary>,
    ) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction
                .prepare_cached(
                    "UPDATE tasks SET summary = ?2, diff = ?3, collected = 1 WHERE id = ?1 AND status = 'running'",
                )?
                .execute(params![id.as_str(), summary.as_deref().map(redact::mask), json_option(diff.as_ref())?])?;
            match diff {
                Some(diff) => events::append(transaction, id, &EventBody::Diff { diff }),
                None => Ok(()),
            }
        })
        .await
    }

    /// Keeps how the checks stand, with what is to be said of it.
    pub(crate) async fn set_verification(
        &self,
        id: &TaskId,
        verification: Verification,
        event: Option<EventBody>,
    ) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction
                .prepare_cached("UPDATE tasks SET verification = ?2 WHERE id = ?1 AND status = 'running'")?
                .execute(params![id.as_str(), redact::to_json(&verification)?])?;
            event.map_or(Ok(()), |event| events::append(transaction, id, &event))
        })
        .await
    }

    /// Ends a task that is queued or running; `Ended` if it had ended already.
    pub(crate) async fn end_task(&self, id: &TaskId, ending: Ending) -> Result<(), DbError> {
        self.end_task_in(id, ending, &[Status::Queued, Status::Running]).await
    }

    /// Cancels a task that has not started; `Ended` if it is not waiting (any more).
    pub(crate) async fn cancel_queued(&self, id: &TaskId) -> Result<(), DbError> {
        self.end_task_in(id, Ending::Cancelled, &[Status::Queued]).await
    }

    async fn end_task_in(&self, id: &TaskId, ending: Ending, from: &'static [Status]) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            if !from.contains(&find(transaction, id)?.status) {
                return Err(DbError::Ended);
            }
            let status = ending.status();
            let failure = match ending {
                Ending::Failed(failure) => Some(failure),
                Ending::Completed | Ending::Cancelled => None,
            };
            transaction
                .prepare_cached("UPDATE tasks SET status = ?2, failure = ?3, finished_at = ?4 WHERE id = ?1")?
                .execute(params![
                id.as_str(),
                status.as_str(),
                json_option(failure.as_ref())?,
                wall_clock::now().to_string()
            ])?;
            events::append(transaction, id, &EventBody::Status { status, failure })
        })
        .await
    }
}

/// Refuses when as many wait as may, in all or of one person.
pub(super) fn require_room(connection: &Connection, owner: PersonId, room: QueueRoom) -> Result<(), DbError> {
    let waiting: u64 =
        connection.query_row("SELECT count(*) FROM tasks WHERE status = 'queued'", [], |row| row.get(0))?;
    if waiting >= room.of_all {
        return Err(DbError::QueueFull { waiting });
    }
    if let Some(of_one) = room.of_one {
        let waiting: u64 = connection.query_row(
            "SELECT count(*) FROM tasks WHERE owner = ?1 AND status = 'queued'",
            [owner.0],
            |row| row.get(0),
        )?;
        if waiting >= of_one {
            return Err(DbError::PersonQueueFull { waiting });
        }
    }
    Ok(())
}

/// A task that is going to fail or was cancelled keeps the stage it was in, whatever is tidied up after it.
pub(super) fn enter(connection: &Connection, id: &TaskId, stage: Stage) -> Result<(), DbError> {
    let changed = connection
        .prepare_cached(
            "UPDATE tasks
             SET stage = CASE WHEN coalesce(json_extract(ending, '$.status'), 'completed') = 'completed' THEN ?2 ELSE stage END
             WHERE id = ?1 AND status = 'running'",
        )?
        .execute(params![id.as_str(), stage.as_str()])?;
    if changed == 0 {
        return Err(DbError::Ended);
    }
    events::append(connection, id, &EventBody::Stage { stage })
}

fn insert(connection: &Connection, task: &Task) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "INSERT INTO tasks (id, status, mode, model, image, source, instruction, limits, usage, created_at, allow_hosts, owner, checks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            task.id.as_str(),
            task.status.as_str(),
            task.mode.as_str(),
            task.model.to_string(),
            task.image,
            serde_json::to_string(&task.source)?,
            redact::mask(task.instruction.as_str()),
            serde_json::to_string(&task.limits)?,
            serde_json::to_string(&task.usage)?,
            task.created_at.to_string(),
            serde_json::to_string(&task.allow_hosts)?,
            task.owner.0,
            redact::to_json(&task.checks)?,
        ])?;
    Ok(())
}

pub(super) fn find(connection: &Connection, id: &TaskId) -> Result<Task, DbError> {
    let mut statement = connection.prepare_cached("SELECT * FROM tasks WHERE id = ?1")?;
    let mut rows = statement.query([id.as_str()])?;
    from_row(rows.next()?.ok_or(DbError::NoSuchTask)?)
}

pub(super) fn from_row(row: &Row<'_>) -> Result<Task, DbError> {
    let text = |column: &str| row.get::<_, String>(column);
    let optional = |column: &str| row.get::<_, Option<String>>(column);
    Ok(Task {
        id: word(text("id")?)?,
        owner: PersonId(row.get("owner")?),
        status: word(text("status")?)?,
        stage: optional("stage")?.map(word).transpose()?,
        mode: word(text("mode")?)?,
        model: word(text("model")?)?,
        image: text("image")?,
        source: serde_json::from_str(&text("source")?)?,
        instruction: word(text("instruction")?)?,
        turn: row.get("turn")?,
        limits: serde_json::from_str(&text("limits")?)?,
        allow_hosts: serde_json::from_str(&text("allow_hosts")?)?,
        checks: serde_json::from_str(&text("checks")?)?,
        summary: optional("summary")?,
        failure: optional("failure")?.as_deref().map(serde_json::from_str).transpose()?,
        usage: serde_json::from_str(&text("usage")?)?,
        steps: row.get("steps")?,
        diff: optional("diff")?.as_deref().map(serde_json::from_str).transpose()?,
        verification: optional("verification")?.as_deref().map(serde_json::from_str).transpose()?,
        feedback: feedback::from_columns(optional("rating")?.map(word).transpose()?, optional("comment")?),
        pull_request: optional("pull_request")?.as_deref().map(serde_json::from_str).transpose()?,
        created_at: word(text("created_at")?)?,
        started_at: optional("started_at")?.map(word).transpose()?,
        finished_at: optional("finished_at")?.map(word).transpose()?,
    })
}

/// Values that serde writes as one string are stored as that string.
pub(super) fn word<T: DeserializeOwned>(text: String) -> Result<T, DbError> {
    Ok(serde_json::from_value(serde_json::Value::String(text))?)
}

fn json_option<T: Serialize + DeserializeOwned>(value: Option<&T>) -> Result<Option<String>, DbError> {
    Ok(value.map(redact::to_json).transpose()?)
}
