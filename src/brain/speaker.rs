//! Who speaks for the agent: whoever spoke first. That is the agent itself, for nothing else runs in the container before
//! it was answered; a command it runs later does not know the secret that went with the first request.

use tokio::sync::Mutex;

use crate::{
    db::{Db, DbError, SpeakerHash},
    domain::task_id::TaskId,
};

#[derive(Debug)]
pub(super) struct Speaker {
    db: Db,
    task_id: TaskId,
    /// `None` until the database was asked, or while it knows nobody.
    known: Mutex<Option<SpeakerHash>>,
}

impl Speaker {
    pub(super) fn new(db: Db, task_id: TaskId) -> Self {
        Self { db, task_id, known: Mutex::default() }
    }

    /// Whether one with this secret would be heard. Changes nothing.
    pub(super) async fn admits(&self, secret: SpeakerHash) -> Result<bool, DbError> {
        let mut known = self.known.lock().await;
        Ok(self.look_up(&mut known).await?.is_none_or(|speaker| speaker == secret))
    }

    /// The same; and the first one to be heard is the only one from then on, also for a server that was restarted.
    pub(super) async fn hears(&self, secret: SpeakerHash) -> Result<bool, DbError> {
        let mut known = self.known.lock().await;
        if let Some(speaker) = self.look_up(&mut known).await? {
            return Ok(speaker == secret);
        }
        self.db.set_step_speaker(&self.task_id, secret).await?;
        *known = Some(secret);
        Ok(true)
    }

    async fn look_up(&self, known: &mut Option<SpeakerHash>) -> Result<Option<SpeakerHash>, DbError> {
        if known.is_none() {
            *known = self.db.step_speaker(&self.task_id).await?;
        }
        Ok(*known)
    }
}
