//! The task of this run: read, checked, and ready for the `start` request.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::wire::{Object, TaskFile};

/// More than any instruction needs, little enough to hold in memory.
const LARGEST_TASK: u64 = 16 << 20;
const LONGEST_ID: usize = 128;

/// Where the task comes from.
#[derive(Debug)]
pub(crate) enum TaskSource {
    File(PathBuf),
    Text { instruction: String, mode: String },
    Stdin,
}

/// A task whose id is safe in a file name.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) file: TaskFile,
}

/// `[A-Za-z0-9_-]`, 1 to 128 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskId(String);

#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("the task {place} cannot be read: {source}")]
    Unreadable { place: String, source: io::Error },
    #[error("the task {place} is larger than {LARGEST_TASK} bytes")]
    TooLarge { place: String },
    #[error("the task {place} is not the JSON of a task (task_id, instruction, mode): {source}")]
    NotATask { place: String, source: serde_json::Error },
    #[error("the task_id {0:?} is not usable as a file name: only letters, digits, _ and -, at most {LONGEST_ID}")]
    Id(String),
}

impl Task {
    /// Reads the task and adds what is `forwarded` to it.
    pub(crate) fn load(source: TaskSource, forwarded: &Object) -> Result<Self, TaskError> {
        let mut file = match source {
            TaskSource::File(path) => read_file(&path)?,
            TaskSource::Stdin => parse("on stdin", io::stdin().lock())?,
            TaskSource::Text { instruction, mode } => {
                #[expect(clippy::disallowed_methods, reason = "a name that differs from others")]
                let now = Timestamp::now();
                let task_id = format!("local_{}", now.as_millisecond());
                TaskFile { task_id, instruction, mode, more: Object::new() }
            }
        };
        let id = TaskId::parse(&file.task_id)?;
        file.more.extend(forwarded.clone());
        Ok(Self { id, file })
    }
}

impl TaskId {
    pub(crate) fn parse(text: &str) -> Result<Self, TaskError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TaskError::Id(text.to_owned()))
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn read_file(path: &Path) -> Result<TaskFile, TaskError> {
    let place = format!("file {}", path.display());
    match std::fs::File::open(path) {
        Ok(file) => parse(&place, file),
        Err(source) => Err(TaskError::Unreadable { place, source }),
    }
}

fn parse(place: &str, reader: impl Read) -> Result<TaskFile, TaskError> {
    let place = place.to_owned();
    let mut json = Vec::new();
    match reader.take(LARGEST_TASK + 1).read_to_end(&mut json) {
        Err(source) => Err(TaskError::Unreadable { place, source }),
        Ok(_) if json.len() as u64 > LARGEST_TASK => Err(TaskError::TooLarge { place }),
        Ok(_) => serde_json::from_slice(&json).map_err(|source| TaskError::NotATask { place, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_leave_its_folder_is_refused() {
        for id in ["", "..", "a/b", "a.jsonl", "a\0", "ä", &"x".repeat(129)] {
            assert!(TaskId::parse(id).is_err(), "{id:?}");
        }
        assert!(TaskId::parse("20261120_abc-DEF").is_ok());
    }
}
