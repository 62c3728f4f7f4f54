//! What people tell a task after its first instruction: kept first, read by the model later.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Db, DbError, QueueRoom, remarks, task_turns,
    tasks::{self, require_room, word},
};
use crate::{
    domain::{
        person::PersonId,
        remark::with_remarks,
        task::Instruction,
        task_id::TaskId,
        turn::{FollowUp, NewFollowUp},
    },
    redact, wall_clock,
};

/// That the model reads a follow-up with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) number: u32,
    pub(crate) step: u32,
}

impl Db {
    /// Keeps what a person says, together with the remarks that wait to be sent. A task that has ended goes on with it as soon
    /// as it is its turn in the queue; one that runs or waits gets it with its next step. What was sent under the same key
    /// before is given back as it is.
    pub(crate) async fn tell(&self, id: &TaskId, new: NewFollowUp, room: QueueRoom) -> Result<FollowUp, DbError> {
        self.write_task(id, move |transaction, id| {
            if let Some(known) = of_key(transaction, id, &new)? {
                return Ok(known);
            }
            let task = tasks::find(transaction, id)?;
            let begins_turn = task.status.is_final();
            let text = with_remarks(new.text.as_str(), &remarks::take(transaction, id)?);
            let text = Instruction::try_from(redact::mask(&text).into_owned()).map_err(|_| DbError::RemarksTooLong)?;
            let follow_up = FollowUp {
                number: next_number(transaction, id)?,
                turn: task.turn + u32::from(begins_turn),
                begins_turn,
                person: new.person,
                text,
                told_at: wall_clock::now(),
                read_at_step: None,
            };
            if begins_turn {
                require_room(transaction, task.owner, room)?;
                task_turns::begin(transaction, &task, &follow_up, new.limits)?;
            }
            insert(transaction, id, &follow_up, &new)?;
            Ok(follow_up)
        })
        .await
    }

    /// What came of a request with this key, if it came in.
    pub(crate) async fn told_before(&self, id: &TaskId, new: NewFollowUp) -> Result<Option<FollowUp>, DbError> {
        let id = id.clone();
        self.read(move |connection| of_key(connection, &id, &new)).await
    }

    /// All that was said, in order.
    pub(crate) async fn follow_ups(&self, id: &TaskId) -> Result<Vec<FollowUp>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT * FROM follow_ups WHERE task_id = ?1 ORDER BY number")?;
            collect(&mut statement, &id)
        })
        .await
    }

    /// Completed tasks that were told something the model has not read: they go on with it.
    pub(crate) async fn completed_with_unread(&self) -> Result<Vec<TaskId>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT DISTINCT id FROM follow_ups JOIN tasks ON id = task_id
                 WHERE read_at_step IS NULL AND status = 'completed' ORDER BY position",
            )?;
            let mut rows = statement.query([])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                ids.push(word(row.get(0)?)?);
            }
            Ok(ids)
        })
        .await
    }

    /// What the model has not read yet.
    pub(crate) async fn unread(&self, id: &TaskId) -> Result<Vec<FollowUp>, DbError> {
        let id = id.clone();
        self.read(move |connection| unread(connection, &id)).await
    }
}

pub(super) fn unread(connection: &Connection, id: &TaskId) -> Result<Vec<FollowUp>, DbError> {
    let mut statement = connection
        .prepare_cached("SELECT * FROM follow_ups WHERE task_id = ?1 AND read_at_step IS NULL ORDER BY number")?;
    collect(&mut statement, id)
}

/// What is not read yet belongs to this turn, which begins with it.
pub(super) fn begin_turn(connection: &Connection, id: &TaskId, turn: u32) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE follow_ups SET turn = ?2, begins_turn = 1 WHERE task_id = ?1 AND read_at_step IS NULL")?
        .execute(params![id.as_str(), turn])?;
    Ok(())
}

/// The model reads it with the step that is recorded.
pub(super) fn mark_read(connection: &Connection, id: &TaskId, reading: Reading) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE follow_ups SET read_at_step = ?3 WHERE task_id = ?1 AND number = ?2")?
        .execute(params![id.as_str(), reading.number, reading.step])?;
    Ok(())
}

fn of_key(connection: &Connection, id: &TaskId, new: &NewFollowUp) -> Result<Option<FollowUp>, DbError> {
    let Some(key) = &new.key else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT * FROM follow_ups WHERE task_id = ?1 AND request_key = ?2")?;
    let mut rows = statement.query([id.as_str(), key.as_str()])?;
    rows.next()?.map(from_row).transpose()
}

fn next_number(connection: &Connection, id: &TaskId) -> Result<u32, DbError> {
    let last: Option<u32> = connection
        .prepare_cached("SELECT max(number) FROM follow_ups WHERE task_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(last.unwrap_or(0) + 1)
}

fn insert(connection: &Connection, id: &TaskId, follow_up: &FollowUp, new: &NewFollowUp) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "INSERT INTO follow_ups (task_id, number, turn, begins_turn, person, text, request_key, told_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id.as_str(),
            follow_up.number,
            follow_up.turn,
            follow_up.begins_turn,
            follow_up.person.0,
            follow_up.text.as_str(),
            new.key.as_ref().map(|key| key.as_str().to_owned()),
            follow_up.told_at.to_string(),
        ])?;
    Ok(())
}

fn collect(statement: &mut rusqlite::CachedStatement<'_>, id: &TaskId) -> Result<Vec<FollowUp>, DbError> {
    let mut rows = statement.query([id.as_str()])?;
    let mut follow_ups = Vec::new();
    while let Some(row) = rows.next()? {
        follow_ups.push(from_row(row)?);
    }
    Ok(follow_ups)
}

fn from_row(row: &Row<'_>) -> Result<FollowUp, DbError> {
    Ok(FollowUp {
        number: row.get("number")?,
        turn: row.get("turn")?,
        begins_turn: row.get("begins_turn")?,
        person: PersonId(row.get("person")?),
        text: word(row.get("text")?)?,
        told_at: word(row.get("told_at")?)?,
        read_at_step: row.get("read_at_step")?,
    })
}
