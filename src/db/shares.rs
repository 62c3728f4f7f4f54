//! Share links. Only hashes of them get here; who stole the database cannot open one.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::{Db, DbError, SecretHash, tasks};
use crate::{
    domain::{
        person::{Person, PersonId},
        share::{Share, ShareId},
        task_id::TaskId,
    },
    wall_clock,
};

/// Whoever was removed left no link behind that works.
const SHARES: &str = "SELECT shares.*, people.name AS maker FROM shares JOIN people ON people.id = shares.made_by
                      WHERE people.removed_at IS NULL AND ";

/// A link that expired says so for this long; then it is as unknown as any other.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Db {
    pub(crate) async fn insert_share(&self, share: Share, token_hash: SecretHash) -> Result<(), DbError> {
        self.write(move |transaction| {
            let forgotten = (wall_clock::now() - REMEMBERED).to_string();
            transaction.execute("DELETE FROM shares WHERE expires_at < ?1", [forgotten])?;
            tasks::find(transaction, &share.task)?;
            transaction.execute(
                "INSERT INTO shares (id, token_hash, task_id, scope, made_by, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    share.id.as_str(),
                    token_hash,
                    share.task.as_str(),
                    serde_json::to_string(&share.scope)?,
                    share.made_by.id.0,
                    share.created_at.to_string(),
                    share.expires_at.map(|at| at.to_string()),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Also one that has expired.
    pub(crate) async fn share_by_token(&self, token_hash: SecretHash) -> Result<Option<Share>, DbError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!("{SHARES} shares.token_hash = ?1"))?;
            statement.query_row([token_hash], |row| Ok(from_row(row))).optional()?.transpose()
        })
        .await
    }

    pub(crate) async fn share(&self, id: &ShareId) -> Result<Option<Share>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!("{SHARES} shares.id = ?1"))?;
            statement.query_row([id.as_str()], |row| Ok(from_row(row))).optional()?.transpose()
        })
        .await
    }

    /// The shares of a task, newest first.
    pub(crate) async fn shares(&self, task: &TaskId) -> Result<Vec<Share>, DbError> {
        let task = task.clone();
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached(&format!("{SHARES} shares.task_id = ?1 ORDER BY shares.created_at DESC, shares.id"))?;
            let mut rows = statement.query([task.as_str()])?;
            let mut shares = Vec::new();
            while let Some(row) = rows.next()? {
                shares.push(from_row(row)?);
            }
            Ok(shares)
        })
        .await
    }

    /// From now on the link opens nothing. Who listens to the task hears of it: what is still being sent has to end.
    pub(crate) async fn delete_share(&self, share: &Share) -> Result<(), DbError> {
        let id = share.id.clone();
        self.write_task(&share.task, move |transaction, _| {
            transaction.execute("DELETE FROM shares WHERE id = ?1", [id.as_str()])?;
            Ok(())
        })
        .await
    }

    /// Adds to the count of each, and when it was last opened.
    pub(crate) async fn count_opened(&self, opened: Vec<(ShareId, u64, Timestamp)>) -> Result<(), DbError> {
        self.write(move |transaction| {
            let mut statement = transaction
                .prepare_cached("UPDATE shares SET opened = opened + ?2, last_opened_at = ?3 WHERE id = ?1")?;
            for (id, times, last) in opened {
                statement.execute(params![id.as_str(), times, last.to_string()])?;
            }
            Ok(())
        })
        .await
    }
}

fn from_row(row: &Row<'_>) -> Result<Share, DbError> {
    let text = |column: &str| row.get::<_, String>(column);
    let time = |column: &str| -> Result<Option<Timestamp>, DbError> {
        row.get::<_, Option<String>>(column)?.map(tasks::word).transpose()
    };
    // An id that cannot be read is one that nobody can name.
    Ok(Share {
        id: text("id")?.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        task: tasks::word(text("task_id")?)?,
        scope: serde_json::from_str(&text("scope")?)?,
        made_by: Person { id: PersonId(row.get("made_by")?), name: text("maker")? },
        created_at: tasks::word(text("created_at")?)?,
        expires_at: time("expires_at")?,
        last_opened_at: time("last_opened_at")?,
        opened: row.get("opened")?,
    })
}
