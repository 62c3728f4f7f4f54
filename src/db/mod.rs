//! `SQLite`: tasks, events, conversations, sessions. Only this room knows `rusqlite`.
//!
//! Two threads own a connection each: one writes, one reads. Callers send closures and await the answer; a caller that
//! has gone away is ignored, the work is done all the same. Every write is one immediate transaction, on disk
//! (`synchronous = FULL`) before the caller hears of it. Texts are masked as they are written. A running task is all in
//! here: `unfinished` and `record` give back what a restarted server needs to go on with it.

mod api_tokens;
mod choices;
mod conversation;
mod copy;
mod day_usage;
mod events;
mod feedback;
mod follow_ups;
mod identities;
mod invites;
mod migrations;
mod people;
mod pull_requests;
mod record;
mod remarks;
mod replies;
mod retention;
mod sessions;
mod shares;
mod step_speakers;
mod task_list;
mod task_turns;
mod tasks;
mod thread;
mod training;
mod triggers;
mod turns;
mod unfinished;

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use tokio::sync::{broadcast, watch};

use crate::domain::task_id::TaskId;

pub(crate) use api_tokens::ApiToken;
pub(crate) use copy::copy;
pub(crate) use follow_ups::Reading;
pub(crate) use invites::{Invite, NewInvite};
pub(crate) use people::{PasswordOf, Presence, Profile};
pub(crate) use pull_requests::Consent;
pub(crate) use record::Record;
pub(crate) use replies::StoredReply;
pub(crate) use sessions::{Known, NewSession, SecretHash, Session};
pub(crate) use step_speakers::SpeakerHash;
pub(crate) use task_list::{RecentRepository, TaskFilter};
pub(crate) use tasks::{Ending, QueueRoom};
use thread::ConnectionThread;
pub(crate) use training::TrainingFilter;
pub(crate) use turns::Line;
pub(crate) use unfinished::{Decided, Unfinished};

/// The database. Clones share the threads; they end with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    writer: ConnectionThread,
    reader: ConnectionThread,
    changes: broadcast::Sender<TaskId>,
    access: watch::Sender<()>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("database: a stored value cannot be read: {0}")]
    Value(#[from] serde_json::Error),
    #[error("{} was written by a newer Atelier (schema {found}, this one knows {known}); install that version again", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{} is damaged ({report}); restore a backup, the file was left as it is", path.display())]
    Damaged { path: PathBuf, report: String },
    #[error("{} cannot be opened: {error}; check who owns it", path.display())]
    Open { path: PathBuf, error: std::io::Error },
    #[error("cannot copy the database to {} before its update ({error}); make room or move the file away", path.display())]
    Copy { path: PathBuf, error: Box<dyn std::error::Error + Send + Sync> },
    #[error("the database thread has ended")]
    Closed,
    #[error("no such task")]
    NoSuchTask,
    #[error("somebody else has this name")]
    NameTaken,
    #[error("the same was asked before, and {0} came of it")]
    AskedBefore(TaskId),
    #[error("the task has ended already")]
    Ended,
    #[error("the task has not ended yet")]
    NotEnded,
    #[error("{most} remarks wait to be sent already; send or remove some")]
    TooManyRemarks { most: u32 },
    #[error("the instruction and the remarks that go along are longer than 64 KiB together; shorten them")]
    RemarksTooLong,
    #[error("{waiting} tasks of this person are waiting already, no more are taken; try again when some are done")]
    PersonQueueFull { waiting: u64 },
    #[error("{waiting} tasks are waiting already, no more are taken; try again when some are done")]
    QueueFull { waiting: u64 },
}

impl DbError {
    /// Another program held the database for too long; later it may work.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }
}

/// How many changed tasks a slow listener may fall behind before it is told to look at everything again.
const CHANGE_BACKLOG: usize = 1024;

impl Db {
    /// Opens (or makes) the database and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        let writer = ConnectionThread::start(path, thread::Access::Write).await?;
        let reader = ConnectionThread::start(path, thread::Access::Read).await?;
        Ok(Self { writer, reader, changes: broadcast::channel(CHANGE_BACKLOG).0, access: watch::channel(()).0 })
    }

    /// The ids of tasks as something about them changes. Take it before reading, and nothing is missed.
    pub(crate) fn changes(&self) -> broadcast::Receiver<TaskId> {
        self.changes.subscribe()
    }

    /// Changes when somebody may not come in any more with what they have.
    pub(crate) fn access_changes(&self) -> watch::Receiver<()> {
        self.access.subscribe()
    }

    fn access_was_taken(&self) {
        self.access.send_replace(());
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.reader.run(move |connection| work(connection)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.writer
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            })
            .await
    }

    /// A write that concerns one task; listeners hear of it once it is on disk.
    async fn write_task<T: Send + 'static>(
        &self,
        id: &TaskId,
        work: impl FnOnce(&rusqlite::Transaction<'_>, &TaskId) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (changes, id) = (self.changes.clone(), id.clone());
        self.writer
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                let value = work(&transaction, &id)?;
                transaction.commit()?;
                // Nobody listening is fine.
                let _ = changes.send(id);
                Ok(value)
            })
            .await
    }
}
