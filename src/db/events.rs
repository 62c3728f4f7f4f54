//! The event log of a task: appended within the transaction that changes the task, read from any point on.

use jiff::Timestamp;
use rusqlite::{Connection, Rows, params};

use super::{Db, DbError};
use crate::{
    domain::{
        check::CheckRun,
        event::{Event, EventBody},
        reference::CheckedReference,
        task_id::TaskId,
    },
    redact, wall_clock,
};

impl Db {
    pub(crate) async fn append_event(&self, id: &TaskId, body: EventBody) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| append(transaction, id, &body)).await
    }

    /// The same for what is worth a line but not a wait; it is lost when the server ends meanwhile.
    pub(crate) fn append_event_later(&self, id: &TaskId, body: EventBody) {
        let (db, id) = (self.clone(), id.clone());
        tokio::spawn(async move { db.append_event(&id, body).await });
    }

    /// The events after `seq` (0 for all), in order, at most `limit`.
    pub(crate) async fn events_after(&self, id: &TaskId, seq: u64, limit: u32) -> Result<Vec<Event>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, body FROM events WHERE task_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            collect(statement.query(params![id.as_str(), seq, limit])?)
        })
        .await
    }

    /// The changes of status, stage and turn, what was read of the repository's instructions, and how checks and references
    /// stand, in order: the outline of a task, however long its log is.
    pub(crate) async fn outline(&self, id: &TaskId) -> Result<Vec<Event>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, body FROM events
                 WHERE task_id = ?1 AND json_extract(body, '$.kind') IN ('status', 'stage', 'turn', 'agents_file', 'checks', 'references')
                 ORDER BY seq",
            )?;
            collect(statement.query([id.as_str()])?)
        })
        .await
    }

    /// What happened last.
    pub(crate) async fn newest_event(&self, id: &TaskId) -> Result<Option<Event>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT seq, at, body FROM events WHERE task_id = ?1 ORDER BY seq DESC LIMIT 1")?;
            Ok(collect(statement.query([id.as_str()])?)?.pop())
        })
        .await
    }

    /// The last event of a kind, by its name on the wire.
    async fn last_event(&self, id: &TaskId, kind: &'static str) -> Result<Option<Event>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, body FROM events
                 WHERE task_id = ?1 AND json_extract(body, '$.kind') = ?2 ORDER BY seq DESC LIMIT 1",
            )?;
            Ok(collect(statement.query(params![id.as_str(), kind])?)?.pop())
        })
        .await
    }

    /// How the checks stood at the end; none before it.
    pub(crate) async fn checks(&self, id: &TaskId) -> Result<Vec<CheckRun>, DbError> {
        Ok(match self.last_event(id, "checks").await?.map(|event| event.body) {
            Some(EventBody::Checks { checks }) => checks,
            _ => Vec::new(),
        })
    }

    /// The references of the explanation; none before it is written.
    pub(crate) async fn references(&self, id: &TaskId) -> Result<Vec<CheckedReference>, DbError> {
        Ok(match self.last_event(id, "references").await?.map(|event| event.body) {
            Some(EventBody::References { references }) => references,
            _ => Vec::new(),
        })
    }

    /// The number of the last event; 0 when there is none.
    pub(crate) async fn last_seq(&self, id: &TaskId) -> Result<u64, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE task_id = ?1")?;
            Ok(statement.query_row([id.as_str()], |row| row.get(0))?)
        })
        .await
    }
}

fn collect(mut rows: Rows<'_>) -> Result<Vec<Event>, DbError> {
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, body): (String, String) = (row.get("at")?, row.get("body")?);
        events.push(Event {
            seq: row.get("seq")?,
            at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
            body: serde_json::from_str(&body)?,
        });
    }
    Ok(events)
}

pub(super) fn append(connection: &Connection, id: &TaskId, body: &EventBody) -> Result<(), DbError> {
    connection
        .prepare_cached(
            "INSERT INTO events (task_id, seq, at, body)
             VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE task_id = ?1), ?2, ?3)",
        )?
        .execute(params![id.as_str(), wall_clock::now().to_string(), redact::to_json(body)?])?;
    Ok(())
}
