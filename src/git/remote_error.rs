//! Why a branch could not be looked at, fetched or pushed, in words that say what to do next.

use std::{io, time::Duration};

use super::{
    clone::CloneLimits,
    command::{Finished, Stopped},
    proxy::Refusal,
};
use crate::{
    config::GitToken,
    domain::failure::{Failure, FailureKind},
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("the forge asks for a login; set ${0}, which [forge] names for it, in the environment of the server")]
    NoToken(String),
    #[error(
        "the forge refused the token in ${0}, or does not show it this repository; see that the token is valid and may read and write there"
    )]
    BadToken(String),
    #[error("the repository has no branch {0} (any more); start the task again on one that is there")]
    NoBase(String),
    #[error("the branch of the task was changed by somebody else in this moment; try again")]
    Moved,
    #[error("the forge did not take the branch: {0}")]
    Rejected(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the forge took longer than {}s; try again later, or raise [source] clone_timeout_s", limit.as_secs())]
    Timeout { limit: Duration },
    #[error("the forge sent nothing for {}s; try again later, or raise [source] clone_idle_timeout_s", limit.as_secs())]
    Silence { limit: Duration },
    #[error("the branch has more objects than [source] max_objects allows ({limit})")]
    TooManyObjects { limit: u64 },
    #[error("git failed: {0}")]
    Git(String),
    #[error("git cannot be run: {0}; install git on the server's machine")]
    GitMissing(io::Error),
    #[error("git's proxy cannot listen on the loopback: {0}")]
    Proxy(io::Error),
    #[error("the repository to push from cannot be made: {0}")]
    Folder(String),
}

impl RemoteError {
    pub(super) fn stopped(stopped: Stopped, limits: &CloneLimits) -> Self {
        match stopped {
            Stopped::NotStarted(error) => Self::GitMissing(error),
            Stopped::Deadline => Self::Timeout { limit: limits.total },
            Stopped::Idle => Self::Silence { limit: limits.idle },
            Stopped::TooManyObjects => Self::TooManyObjects { limit: limits.max_objects },
            Stopped::TooMuchOutput => Self::Git("it said more than anybody reads".to_owned()),
        }
    }

    /// Reads what git complained about (in the C locale; its words for programs are on standard output).
    pub(super) fn from_git(finished: &Finished, token: &GitToken) -> Self {
        let said = |parts: &[&str]| parts.iter().any(|part| finished.transcript.says(part));
        let stdout = String::from_utf8_lossy(&finished.stdout);
        let rejected = stdout.lines().find_map(|line| line.strip_prefix('!')?.split('\t').nth(2));
        if said(&["could not read Username", "could not read Password"]) && token.token.is_none() {
            return Self::NoToken(token.variable.clone());
        }
        let login = ["Authentication failed", "could not read Username", "returned error: 401", "returned error: 403"];
        if said(&login) || said(&["returned error: 404", "not found"]) {
            return match token.token {
                None => Self::NoToken(token.variable.clone()),
                Some(_) => Self::BadToken(token.variable.clone()),
            };
        }
        match rejected {
            Some(reason) if reason.contains("stale info") => Self::Moved,
            Some(reason) => {
                let words = finished.transcript.complaint();
                let reason: String = reason.chars().filter(|c| !c.is_control()).take(300).collect();
                Self::Rejected(format!("{reason}; {words}"))
            }
            None if said(&["find remote ref"]) => Self::NoBase("that the task began on".to_owned()),
            None => Self::Git(finished.transcript.complaint()),
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::NoToken(_) | Self::BadToken(_) => FailureKind::ForgeLogin,
            Self::NoBase(_) | Self::Rejected(_) | Self::Git(_) => FailureKind::ForgeRefused,
            Self::Moved => FailureKind::BranchTaken,
            Self::Refused(Refusal::Address(_)) => FailureKind::AddressNotAllowed,
            Self::Refused(Refusal::Redirect(_)) => FailureKind::RedirectRefused,
            Self::TooManyObjects { .. } | Self::Refused(Refusal::TooLarge { .. }) => FailureKind::TooLarge,
            Self::Refused(Refusal::Unresolved { .. } | Refusal::Unreachable { .. })
            | Self::Timeout { .. }
            | Self::Silence { .. } => FailureKind::ForgeUnavailable,
            Self::GitMissing(_) | Self::Proxy(_) | Self::Folder(_) => FailureKind::Internal,
        };
        Failure::new(kind, format!("Publishing failed: {self}."))
    }
}
