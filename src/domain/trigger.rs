//! What on a forge began a task, and where its answers go.

use serde::{Deserialize, Serialize};

use super::source::RepoUrl;

/// Something that was said on a forge and means a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) repository: RepoUrl,
    pub(crate) issue: u64,
    /// Their name on the forge.
    pub(crate) person: String,
    /// One name for one wish: it begins one task, however often it arrives.
    pub(crate) key: String,
    pub(crate) instruction: String,
}

/// The issue a task came from. The forge goes by its section in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) forge: String,
    pub(crate) repository: RepoUrl,
    pub(crate) issue: u64,
    pub(crate) person: String,
    pub(crate) key: String,
}

/// What an issue is told of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// Where it can be watched.
    Begun,
    /// What came of it.
    Ended,
}

impl Answer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Ended => "ended",
        }
    }
}
