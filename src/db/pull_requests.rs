//! Pull requests of tasks, stored before each step that others can see. They go on after the task has ended.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{Db, DbError, events, tasks};
use crate::{
    domain::{
        event::EventBody,
        pull_request::{PullRequest, PullRequestState},
        task_id::TaskId,
    },
    redact,
};

/// Whether a person said yes to the files that need one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    /// What was said earlier holds.
    NotAsked,
}

impl Db {
    /// Publishing begins, with what is known of an earlier try. None when it is under way already.
    pub(crate) async fn begin_publishing(&self, id: &TaskId, consent: Consent) -> Result<Option<PullRequest>, DbError> {
        self.write_task(id, move |transaction, id| {
            let task = tasks::find(transaction, id)?;
            let known = task.pull_request;
            if known.as_ref().is_some_and(|known| known.state == PullRequestState::Publishing) {
                return Ok(None);
            }
            let mut begun = known.unwrap_or_else(|| PullRequest::new(id));
            begun.state = PullRequestState::Publishing;
            // A yes was said to the changes that were there to look at.
            begun.is_confirmed = consent == Consent::Given || (begun.is_confirmed && begun.turn == task.turn);
            begun.turn = task.turn;
            store(transaction, id, &begun)?;
            events::append(transaction, id, &EventBody::PullRequest { pull_request: begun.clone() })?;
            Ok(Some(begun))
        })
        .await
    }

    /// What is known now; nobody is told.
    pub(crate) async fn note_publishing(&self, id: &TaskId, pull_request: PullRequest) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| store(transaction, id, &pull_request)).await
    }

    /// What publishing came to.
    pub(crate) async fn end_publishing(&self, id: &TaskId, pull_request: PullRequest) -> Result<(), DbError> {
        self.write_task(id, move |transaction, id| {
            store(transaction, id, &pull_request)?;
            events::append(transaction, id, &EventBody::PullRequest { pull_request })
        })
        .await
    }

    /// Tasks that have ended and whose publishing has not.
    pub(crate) async fn unpublished(&self) -> Result<Vec<TaskId>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id FROM tasks
                 WHERE status NOT IN ('queued', 'running') AND json_extract(pull_request, '$.state.name') = 'publishing'
                 ORDER BY position",
            )?;
            let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
            ids.map(|id| id?.parse().map_err(|_| DbError::NoSuchTask)).collect()
        })
        .await
    }

    /// What the stages of a task left for each other, in their own words.
    pub(crate) async fn checkpoint(&self, id: &TaskId) -> Result<Option<Value>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT checkpoint FROM tasks WHERE id = ?1")?;
            let stored: Option<String> = statement.query_row([id.as_str()], |row| row.get(0))?;
            Ok(stored.as_deref().map(serde_json::from_str).transpose()?)
        })
        .await
    }
}

fn store(connection: &Connection, id: &TaskId, pull_request: &PullRequest) -> Result<(), DbError> {
    connection
        .prepare_cached("UPDATE tasks SET pull_request = ?2 WHERE id = ?1")?
        .execute(params![id.as_str(), redact::to_json(pull_request)?])?;
    Ok(())
}
