//! Remarks on lines of a diff: kept until they go along with what a task is told next.

use rusqlite::{Connection, Row, params};

use super::{Db, DbError, tasks::word};
use crate::{
    domain::{
        remark::{Remark, RemarkText, RemarkedLine},
        task_id::TaskId,
    },
    redact,
};

/// More do not go along with one instruction.
const MOST: u32 = 100;

impl Db {
    pub(crate) async fn add_remark(
        &self,
        id: &TaskId,
        line: RemarkedLine,
        text: RemarkText,
    ) -> Result<Remark, DbError> {
        self.write_task(id, move |transaction, id| {
            let count = "SELECT count(*) FROM remarks WHERE task_id = ?1";
            let waiting: u32 = transaction.query_row(count, [id.as_str()], |row| row.get(0))?;
            if waiting >= MOST {
                return Err(DbError::TooManyRemarks { most: MOST });
            }
            let mut statement = transaction.prepare_cached(
                "INSERT INTO remarks (task_id, path, side, line, line_text, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING *",
            )?;
            let mut rows = statement.query(params![
                id.as_str(),
                line.path,
                line.side.as_str(),
                line.number,
                line.text,
                redact::mask(text.as_str()),
            ])?;
            let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            from_row(row)
        })
        .await
    }

    /// Those that were not sent yet, by file and line.
    pub(crate) async fn remarks(&self, id: &TaskId) -> Result<Vec<Remark>, DbError> {
        let id = id.clone();
        self.read(move |connection| all(connection, &id)).await
    }

    /// Gives a remark that was not sent yet another text. False when there is none.
    pub(crate) async fn change_remark(&self, id: &TaskId, number: u32, text: RemarkText) -> Result<bool, DbError> {
        self.write_task(id, move |transaction, id| {
            let text = redact::mask(text.as_str());
            let change = "UPDATE remarks SET text = ?3 WHERE task_id = ?1 AND number = ?2";
            Ok(transaction.execute(change, params![id.as_str(), number, text])? > 0)
        })
        .await
    }

    /// Forgets a remark that was not sent yet. False when there is none.
    pub(crate) async fn remove_remark(&self, id: &TaskId, number: u32) -> Result<bool, DbError> {
        self.write_task(id, move |transaction, id| {
            let remove = "DELETE FROM remarks WHERE task_id = ?1 AND number = ?2";
            Ok(transaction.execute(remove, params![id.as_str(), number])? > 0)
        })
        .await
    }
}

/// They go along with what the task is told now.
pub(super) fn take(connection: &Connection, id: &TaskId) -> Result<Vec<Remark>, DbError> {
    let taken = all(connection, id)?;
    connection.prepare_cached("DELETE FROM remarks WHERE task_id = ?1")?.execute([id.as_str()])?;
    Ok(taken)
}

fn all(connection: &Connection, id: &TaskId) -> Result<Vec<Remark>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM remarks WHERE task_id = ?1 ORDER BY path, line, number")?;
    let mut rows = statement.query([id.as_str()])?;
    let mut remarks = Vec::new();
    while let Some(row) = rows.next()? {
        remarks.push(from_row(row)?);
    }
    Ok(remarks)
}

fn from_row(row: &Row<'_>) -> Result<Remark, DbError> {
    Ok(Remark {
        number: row.get("number")?,
        line: RemarkedLine {
            path: row.get("path")?,
            side: word(row.get("side")?)?,
            number: row.get("line")?,
            text: row.get("line_text")?,
        },
        text: word(row.get("text")?)?,
    })
}
