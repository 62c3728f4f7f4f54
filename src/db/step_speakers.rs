//! Who may speak for the agent of a task.

use rusqlite::{OptionalExtension, params};

use super::{Db, DbError};
use crate::domain::task_id::TaskId;

/// What is known of the one that spoke first: the hash of its secret, or that it sent none.
pub(crate) type SpeakerHash = Option<[u8; 32]>;

impl Db {
    /// The speaker of a task; `None` while nobody has spoken.
    pub(crate) async fn step_speaker(&self, id: &TaskId) -> Result<Option<SpeakerHash>, DbError> {
        let id = id.clone();
        self.read(move |connection| {
            Ok(connection
                .prepare_cached("SELECT secret_hash FROM step_speakers WHERE task_id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    pub(crate) async fn set_step_speaker(&self, id: &TaskId, speaker: SpeakerHash) -> Result<(), DbError> {
        let id = id.clone();
        self.write(move |transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO step_speakers (task_id, secret_hash) VALUES (?1, ?2)",
                params![id.as_str(), speaker],
            )?;
            Ok(())
        })
        .await
    }

    /// For a new container, whose agent knows nothing of the one before.
    pub(crate) async fn forget_step_speaker(&self, id: &TaskId) -> Result<(), DbError> {
        let id = id.clone();
        self.write(move |transaction| {
            transaction.execute("DELETE FROM step_speakers WHERE task_id = ?1", [id.as_str()])?;
            Ok(())
        })
        .await
    }
}
