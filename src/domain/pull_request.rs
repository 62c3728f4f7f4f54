//! The way of a task's result to a branch and a pull request (GitLab says merge request).

use serde::{Deserialize, Serialize};

use super::{failure::Failure, task_id::TaskId};

/// How far it is. A second try begins with what is known of the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PullRequest {
    pub(crate) state: PullRequestState,
    /// The branch that is this task's alone.
    pub(crate) branch: String,
    /// The branch it is to be merged into, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u64>,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// A person said yes to the files that need one.
    #[serde(default)]
    pub(crate) is_confirmed: bool,
    /// The turn of the task whose result it is about.
    #[serde(default = "first_turn")]
    pub(crate) turn: u32,
    /// What was, or was about to be, pushed: whatever else stands on the branch is somebody else's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) commits: Vec<OwnCommit>,
}

/// A commit of ours, and the one it was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnCommit {
    pub(crate) commit: String,
    /// Of the other branch.
    pub(crate) onto: String,
    /// The turn of the task whose result it holds.
    #[serde(default = "first_turn")]
    pub(crate) turn: u32,
    /// The commit of ours that it goes on from, when it is a further one on the same branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// What was left out of it; empty if nothing was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) left_out: String,
}

/// The branch that is a task's alone, wherever its result goes.
pub(crate) fn branch_of(id: &TaskId) -> String {
    format!("atelier/{id}")
}

/// Of what was stored before tasks had turns.
fn first_turn() -> u32 {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub(crate) enum PullRequestState {
    /// Asked for and not done; a server that is started again goes on with it.
    Publishing,
    Opened,
    /// Files that act as soon as they are pushed, or that hide something, wait for a person's yes.
    NeedsConfirmation {
        files: Vec<String>,
    },
    /// The branch it was made on changed the same lines since.
    Conflict {
        files: Vec<String>,
    },
    /// Nothing differs from the branch it was to be merged into.
    NothingToPublish,
    Failed {
        failure: Failure,
    },
}

impl PullRequestState {
    /// The name on the wire.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Opened => "opened",
            Self::NeedsConfirmation { .. } => "needs_confirmation",
            Self::Conflict { .. } => "conflict",
            Self::NothingToPublish => "nothing_to_publish",
            Self::Failed { .. } => "failed",
        }
    }

    /// Files to be looked at.
    pub(crate) fn files(&self) -> &[String] {
        match self {
            Self::NeedsConfirmation { files } | Self::Conflict { files } => files,
            _ => &[],
        }
    }
}

/// More files than anybody reads in a message.
pub(crate) const MAX_FILES: usize = 50;

impl PullRequest {
    pub(crate) fn new(id: &TaskId) -> Self {
        Self {
            state: PullRequestState::Publishing,
            branch: branch_of(id),
            base: None,
            number: None,
            url: None,
            is_confirmed: false,
            turn: first_turn(),
            commits: Vec::new(),
        }
    }

    /// What it comes to, in a sentence that says what to do next.
    pub(crate) fn message(&self) -> String {
        let base = self.base.as_deref().unwrap_or("the branch it was made on");
        match &self.state {
            PullRequestState::Publishing => format!("The result is being published as {}.", self.branch),
            PullRequestState::Opened => format!("The pull request is there: {}", self.url.as_deref().unwrap_or("")),
            PullRequestState::NeedsConfirmation { files } => format!(
                "Nothing was pushed yet: {} can run programs, give rights or hide something once they are pushed. Look at the \
                 changes of {}, then confirm.",
                if files.len() == 1 { "one changed file".to_owned() } else { format!("{} changed files", files.len()) },
                files.join(", ")
            ),
            PullRequestState::Conflict { files } => format!(
                "Nothing was pushed: {base} was changed meanwhile in the same places. In conflict: {}. Start the task again on \
                 the new state, or apply diff.patch by hand.",
                files.join(", ")
            ),
            PullRequestState::NothingToPublish => format!("Nothing was pushed: nothing differs from {base}."),
            PullRequestState::Failed { failure } => failure.message.clone(),
        }
    }
}
