//! Where the pages of one task lie. Templates build every address of a task from here, so the same pages work elsewhere too.

use crate::domain::task_id::TaskId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct TaskLinks {
    /// The page of the task; `/diff`, `/source/…`, `/logs/…`, `/live` and what its buttons do lie beneath it.
    pub(in crate::web) page: String,
    /// The folder of its files as they are.
    pub(in crate::web) files: String,
}

impl TaskLinks {
    pub(in crate::web) fn of(id: &TaskId) -> Self {
        Self { page: format!("/tasks/{id}"), files: format!("/logs/{id}") }
    }
}
