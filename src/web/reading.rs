//! A task that is read: by somebody who is logged in, or by a visitor with a share link. The pages are the same.

use std::{borrow::Cow, fs::File, io, path::Path};

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    AppState,
    error::WebError,
    extract::TaskPath,
    pages::TaskLinks,
    share::{self, Visitor},
    viewer::Viewer,
};
use crate::{
    artifacts,
    db::Db,
    domain::{pull_request::PullRequestState, share::ShareScope, task::Task, task_id::TaskId},
    redact,
};

/// A task that is there for who asks. What changes something takes a `TaskPath`: there is none in a share link.
pub(super) struct Reading {
    pub(super) id: TaskId,
    pub(super) links: TaskLinks,
    pub(super) who: Who,
}

pub(super) enum Who {
    Person(Viewer),
    Visitor(ShareScope),
}

/// For whom a page is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody who may do something with the task, too.
    Person,
    /// Somebody with a share link. What looks like a secret is covered for them.
    Visitor,
}

impl FromRequestParts<AppState> for Reading {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, WebError> {
        // Only the gate of shared pages puts a visitor there.
        if let Some(Visitor { share, base }) = parts.extensions.get() {
            let who = Who::Visitor(share.scope.clone());
            return Ok(Self { id: share.task.clone(), links: TaskLinks::shared(base), who });
        }
        let TaskPath(id) = TaskPath::from_request_parts(parts, state).await?;
        let who = Who::Person(Viewer::from_request_parts(parts, state).await?);
        Ok(Self { links: TaskLinks::of(&id), id, who })
    }
}

impl Reading {
    /// A link to one file shows no other.
    pub(super) fn require_file(&self, name: &str) -> Result<(), WebError> {
        match &self.who {
            Who::Visitor(scope) if !scope.shows_file(name) => Err(WebError::NotFound),
            Who::Visitor(_) | Who::Person(_) => Ok(()),
        }
    }
}

impl Who {
    /// Waits until a stream must not go on. The gate of shared pages sees to those of visitors itself.
    pub(super) async fn dismissed(self, db: Db) {
        match self {
            Self::Person(viewer) => viewer.dismissed(db).await,
            Self::Visitor(_) => std::future::pending().await,
        }
    }
}

impl Reader {
    pub(super) fn is_visitor(self) -> bool {
        self == Self::Visitor
    }

    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Person => Cow::Borrowed(text),
            Self::Visitor => redact::cover(text),
        }
    }

    /// A file of a task as this reader may see it: of a long one a visitor sees the start. Blocks.
    pub(super) fn open(self, folder: &Path, name: &str) -> io::Result<Option<File>> {
        let file = artifacts::open(folder, name)?;
        match self {
            Self::Person => Ok(file),
            Self::Visitor => file.map(share::covered_copy).transpose(),
        }
    }

    /// The task without what is between its owner and the server.
    pub(super) fn task(self, task: Task) -> Result<Task, WebError> {
        match self {
            Self::Person => Ok(task),
            Self::Visitor => Ok(Task {
                instruction: self.value(task.instruction)?,
                summary: self.value(task.summary)?,
                failure: self.value(task.failure)?,
                verification: self.value(task.verification)?,
                feedback: None,
                pull_request: task.pull_request.filter(|known| known.state == PullRequestState::Opened),
                ..task
            }),
        }
    }

    /// The value with the texts in it as this reader may see them.
    pub(super) fn value<T: Serialize + DeserializeOwned>(self, value: T) -> Result<T, WebError> {
        match self {
            Self::Person => Ok(value),
            Self::Visitor => redact::covered(value).map_err(WebError::internal),
        }
    }
}
