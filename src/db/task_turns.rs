//! The turns of a task. The row of the task tells of the last one; what came of those before is kept here.

use rusqlite::{Connection, Row, params};

use super::{
    Db, DbError, events, follow_ups,
    tasks::{self, word},
};
use crate::{
    domain::{
        event::EventBody,
        excerpt::head_and_tail,
        limits::LimitsWish,
        patch::DiffSummary,
        task::{Status, Task},
        task_id::TaskId,
        turn::{FollowUp, Turn, TurnOutcome},
        usage::Usage,
    },
    redact,
};

/// The whole of it stands in the row of the turn.
const MAX_EVENT_TEXT: usize = 16 * 1024;

impl Db {
    /// All turns, in order; the last one is how the task stands now.
    pub(crate) async fn turns(&self, id: &TaskId) -> Result<Vec<Turn>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let task = tasks::find(connection, &id)?;
            let mut statement = connection.prepare_cached("SELECT * FROM turns WHERE task_id = ?1 ORDER BY number")?;
            let mut rows = statement.query([id.as_str()])?;
            let mut turns = Vec::new();
            while let Some(row) = rows.next()? {
                turns.push(from_row(row, &task)?);
            }
            if turns.is_empty() {
                turns.push(first(&task));
            }
            Ok(turns)
        })
        .await
    }

    /// A completed task waits again, for a turn with what people said and the model has not read.
    pub(crate) async fn go_on_with_unread(&self, id: &TaskId) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            let task = tasks::find(transaction, id)?;
            let unread = follow_ups::unread(transaction, id)?;
            if let Some(first) = unread.first().filter(|_| task.status == Status::Completed) {
                let turn = task.turn + 1;
                follow_ups::begin_turn(transaction, id, turn)?;
                begin(transaction, &task, &FollowUp { turn, ..first.clone() }, LimitsWish::default())?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps the counts of what a turn alone changed.
    pub(crate) async fn set_own_diff(&self, id: &TaskId, turn: u32, diff: DiffSummary) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            transaction.execute(
                "UPDATE turns SET own_diff = ?3 WHERE task_id = ?1 AND number = ?2",
                params![id.as_str(), turn, serde_json::to_string(&diff)?],
            )?;
            Ok(())
        })
        .await
    }
}

/// A task that has ended waits again, for another turn. Its conversation, its counts and its result stay; what a server
/// needs to go on within a turn begins anew.
pub(super) fn begin(connection: &Connection, task: &Task, with: &FollowUp, limits: LimitsWish) -> Result<(), DbError> {
    let id = task.id.as_str();
    if task.turn == 1 {
        connection.execute(
            "INSERT OR IGNORE INTO turns (task_id, number, instruction, asked_at, behind, steps_before, usage_before, own_diff)
             VALUES (?1, 1, ?2, ?3, 0, 0, ?4, ?5)",
            params![
                id,
                task.instruction.as_str(),
                task.created_at.to_string(),
                serde_json::to_string(&Usage::default())?,
                task.diff.as_ref().map(serde_json::to_string).transpose()?,
            ],
        )?;
    }
    let (steps_before, usage_before) = before(connection, task)?;
    let outcome = outcome(task, steps_before, usage_before);
    connection.execute(
        "UPDATE turns SET outcome = ?3 WHERE task_id = ?1 AND number = ?2",
        params![id, task.turn, redact::to_json(&outcome)?],
    )?;
    connection.execute(
        "INSERT INTO turns (task_id, number, instruction, asked_at, behind, steps_before, usage_before)
         VALUES (?1, ?2, ?3, ?4, (SELECT max(position) FROM tasks), ?5, ?6)",
        params![
            id,
            with.turn,
            with.text.as_str(),
            with.told_at.to_string(),
            task.steps,
            serde_json::to_string(&task.usage)?
        ],
    )?;
    // What the agent was answered is forgotten: the next one counts its requests from the start.
    connection.execute("DELETE FROM replies WHERE task_id = ?1", [id])?;
    connection.execute(
        "UPDATE tasks
         SET status = 'queued', turn = ?2, limits = ?3, stage = NULL, summary = NULL, verification = NULL, failure = NULL, started_at = NULL,
             finished_at = NULL, ending = NULL, collected = 0, attempt = 1, worked_ms = 0
         WHERE id = ?1",
        params![id, with.turn, serde_json::to_string(&task.limits.with(limits))?],
    )?;
    let instruction = head_and_tail(with.text.as_str(), MAX_EVENT_TEXT).into_owned();
    let turn = EventBody::Turn { number: with.turn, instruction };
    events::append(connection, &task.id, &turn)?;
    events::append(connection, &task.id, &EventBody::Status { status: Status::Queued, failure: None })
}

fn before(connection: &Connection, task: &Task) -> Result<(u32, Usage), DbError> {
    let mut statement =
        connection.prepare_cached("SELECT steps_before, usage_before FROM turns WHERE task_id = ?1 AND number = ?2")?;
    let (steps, usage): (u32, String) =
        statement.query_row(params![task.id.as_str(), task.turn], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((steps, serde_json::from_str(&usage)?))
}

/// How the task stands, as the outcome of its last turn.
fn outcome(task: &Task, steps_before: u32, usage_before: Usage) -> TurnOutcome {
    TurnOutcome {
        status: task.status,
        failure: task.failure.clone(),
        summary: task.summary.clone(),
        steps: task.steps.saturating_sub(steps_before),
        usage: task.usage.since(usage_before),
        diff: task.diff,
        verification: task.verification.clone(),
        started_at: task.started_at,
        finished_at: task.finished_at,
    }
}

fn first(task: &Task) -> Turn {
    Turn {
        number: 1,
        instruction: task.instruction.clone(),
        asked_at: task.created_at,
        own_diff: task.diff,
        outcome: outcome(task, 0, Usage::default()),
    }
}

fn from_row(row: &Row<'_>, task: &Task) -> Result<Turn, DbError> {
    let json = |column: &str| row.get::<_, Option<String>>(column);
    let outcome = match json("outcome")? {
        Some(kept) => serde_json::from_str(&kept)?,
        None => outcome(task, row.get("steps_before")?, serde_json::from_str(&row.get::<_, String>("usage_before")?)?),
    };
    Ok(Turn {
        number: row.get("number")?,
        instruction: word(row.get("instruction")?)?,
        asked_at: word(row.get("asked_at")?)?,
        own_diff: json("own_diff")?.as_deref().map(serde_json::from_str).transpose()?,
        outcome,
    })
}
