//! Where the pages of one task lie. Templates build every address of a task from here, so the same pages work elsewhere too.

use askama::filters;

use crate::{domain::task_id::TaskId, web::reading::Reader};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct TaskLinks {
    /// The page of the task; `/diff`, `/source/…`, `/logs/…`, `/live` and what its buttons do lie beneath it.
    pub(in crate::web) page: String,
    /// The folder of the pages that show its logs.
    pub(in crate::web) logs: String,
    /// The folder of its files as they are.
    pub(in crate::web) files: String,
    /// Who follows them. A visitor sees no buttons: there is nothing behind them.
    pub(in crate::web) reader: Reader,
}

impl TaskLinks {
    pub(in crate::web) fn of(id: &TaskId) -> Self {
        Self {
            page: format!("/tasks/{id}"),
            logs: format!("/tasks/{id}/logs"),
            files: format!("/logs/{id}"),
            reader: Reader::Person,
        }
    }

    /// Beneath a share link.
    pub(in crate::web) fn shared(base: &str) -> Self {
        Self {
            page: base.to_owned(),
            logs: format!("{base}/log"),
            files: format!("{base}/logs"),
            reader: Reader::Visitor,
        }
    }

    /// The page of a log.
    pub(in crate::web) fn log(&self, name: &str) -> String {
        let Ok(name) = filters::urlencode(name);
        format!("{}/{name}", self.logs)
    }

    /// The page that shows a line of a log, up to the number of the line.
    pub(in crate::web) fn log_line(&self, name: &str) -> String {
        format!("{}?line=", self.log(name))
    }
}
