//! What the data directory takes up, by kind, and when the next clean-up takes some of it. Reads every folder: not for a
//! request to wait for.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};

use super::housekeeping::{bytes_beneath, folders_in};
use crate::{
    blocking,
    config::Retention,
    data_dir::DataDir,
    db::{Db, DbError},
    domain::task_id::TaskId,
};

/// In bytes of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DiskUse {
    /// Code and output of tasks at work.
    pub(crate) workspaces: u64,
    /// Snapshots of what ended and may be published or gone on with, and the files that explanations refer to.
    pub(crate) results: u64,
    pub(crate) uploads: u64,
    pub(crate) logs: u64,
    pub(crate) database: u64,
    /// When the oldest of what tasks left, and the oldest logs, are old enough to go. None: nothing goes by its age.
    pub(crate) next_leftovers: Option<Timestamp>,
    pub(crate) next_logs: Option<Timestamp>,
}

impl DiskUse {
    pub(crate) async fn measured(data_dir: &DataDir, db: &Db, settings: Retention) -> anyhow::Result<Self> {
        let (tasks, logs) = (folders_in(data_dir.tasks()).await?, folders_in(data_dir.logs()).await?);
        let found = Self {
            next_leftovers: next(db, &tasks, settings.uploads).await?,
            next_logs: next(db, &logs, settings.logs).await?,
            ..Self::default()
        };
        let data_dir = data_dir.clone();
        Ok(blocking::run(move || found.plus_what_lies_in(&data_dir, tasks)).await?)
    }

    pub(crate) fn sum(&self) -> u64 {
        self.workspaces + self.results + self.uploads + self.logs + self.database
    }

    fn plus_what_lies_in(mut self, data_dir: &DataDir, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        for id in tasks {
            let task = data_dir.task(&id);
            let results: u64 = [task.git(), task.changes(), task.source()].iter().map(|kept| bytes_beneath(kept)).sum();
            let upload = file_bytes(&task.upload());
            self.results += results;
            self.uploads += upload;
            self.workspaces += bytes_beneath(task.path()).saturating_sub(results + upload);
        }
        self.uploads += bytes_beneath(&data_dir.uploads());
        self.logs = bytes_beneath(&data_dir.logs());
        let database = data_dir.database();
        self.database = ["", "-wal", "-shm"].map(|end| file_bytes(&beside(&database, end))).iter().sum();
        self
    }
}

/// When the first of these tasks is so old.
async fn next(db: &Db, there: &HashSet<TaskId>, age: Option<SignedDuration>) -> Result<Option<Timestamp>, DbError> {
    let Some(age) = age else { return Ok(None) };
    let first = db.first_end_among(there.iter().cloned()).await?;
    Ok(first.and_then(|at| at.checked_add(age).ok()))
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn file_bytes(file: &Path) -> u64 {
    std::fs::symlink_metadata(file).map_or(0, |found| found.len())
}
