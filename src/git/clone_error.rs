//! Why a clone failed, in words that say what to do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::progress::Transcript;
use super::proxy::Refusal;
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::source::GitRef;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CloneError {
    #[error("the repository was not found; check the URL")]
    NotFound,
    #[error(
        "the server asks for a login: the repository is private or does not exist; check the URL, or give the server a token in [forge.NAME]"
    )]
    NeedsLogin,
    #[error(
        "the repository has no branch, tag or commit {0}; check its name, or leave the ref out for the default branch"
    )]
    NoSuchRef(GitRef),
    #[error("the repository is empty; push a first commit and try again")]
    Empty,
    #[error("the clone took longer than {}s; use a smaller repository, upload a zip, or raise [source] clone_timeout_s", limit.as_secs())]
    Timeout { limit: Duration },
    #[error("the server sent nothing for {}s; try again later, upload a zip, or raise [source] clone_idle_timeout_s", limit.as_secs())]
    Silence { limit: Duration },
    #[error(
        "the repository has more than {limit} objects; upload a zip of the part that matters, or raise [source] max_objects"
    )]
    TooManyObjects { limit: u64 },
    #[error(
        "the repository has more than {limit} files; upload a zip of the part that matters, or raise [source] max_files"
    )]
    TooManyFiles { limit: u64 },
    #[error(
        "the files of the repository are larger than {limit} bytes; upload a zip of the part that matters, or raise [source] max_unpacked_bytes"
    )]
    TooManyBytes { limit: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the disk of the server is full; free some space and try again")]
    DiskFull,
    #[error("git failed: {0}")]
    Git(String),
    #[error("git cannot be run: {0}; install git on the server's machine")]
    GitMissing(io::Error),
    #[error("the clone's proxy cannot listen on the loopback: {0}")]
    Proxy(io::Error),
    #[error("{path} cannot take a clone: {source}")]
    Folder { path: PathBuf, source: io::Error },
}

type Meaning = fn(Option<&GitRef>) -> Option<CloneError>;

/// Parts of git's messages (in the C locale, unchanged for years) and what they mean.
const MEANINGS: &[(&str, Meaning)] = &[
    ("No space left on device", |_| Some(CloneError::DiskFull)),
    ("could not read Username", |_| Some(CloneError::NeedsLogin)),
    ("could not read Password", |_| Some(CloneError::NeedsLogin)),
    ("Authentication failed", |_| Some(CloneError::NeedsLogin)),
    ("returned error: 401", |_| Some(CloneError::NeedsLogin)),
    ("returned error: 403", |_| Some(CloneError::NeedsLogin)),
    ("returned error: 404", |_| Some(CloneError::NotFound)),
    ("not found in upstream", |git_ref| git_ref.cloned().map(CloneError::NoSuchRef)),
    ("find remote ref", |git_ref| git_ref.cloned().map(CloneError::NoSuchRef)),
    ("not our ref", |git_ref| git_ref.cloned().map(CloneError::NoSuchRef)),
    ("unadvertised object", |git_ref| git_ref.cloned().map(CloneError::NoSuchRef)),
    ("not found", |_| Some(CloneError::NotFound)),
    // Our URL is https or http: another protocol can only come from a redirect.
    ("Protocol \"", |_| Some(CloneError::Refused(Refusal::Redirect("another protocol".to_owned())))),
];

impl CloneError {
    /// Reads what git complained about.
    pub(super) fn from_git(transcript: &Transcript, git_ref: Option<&GitRef>) -> Self {
        MEANINGS
            .iter()
            .filter(|(part, _)| transcript.says(part))
            .find_map(|(_, meaning)| meaning(git_ref))
            .unwrap_or_else(|| Self::Git(transcript.complaint()))
    }

    /// The end of the task, for the person who waits for it.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::NotFound
            | Self::NeedsLogin
            | Self::NoSuchRef(_)
            | Self::Empty
            | Self::Git(_)
            | Self::Refused(Refusal::Unresolved { .. } | Refusal::Unreachable { .. }) => FailureKind::CloneFailed,
            Self::Timeout { .. } | Self::Silence { .. } => FailureKind::CloneTimeout,
            Self::TooManyObjects { .. }
            | Self::TooManyFiles { .. }
            | Self::TooManyBytes { .. }
            | Self::Refused(Refusal::TooLarge { .. }) => FailureKind::TooLarge,
            Self::Refused(Refusal::Address(_)) => FailureKind::AddressNotAllowed,
            Self::Refused(Refusal::Redirect(_)) => FailureKind::RedirectRefused,
            Self::DiskFull => FailureKind::DiskFull,
            Self::GitMissing(_) | Self::Proxy(_) | Self::Folder { .. } => FailureKind::Internal,
        };
        let prefix = match kind {
            FailureKind::AddressNotAllowed => "address not allowed: ",
            FailureKind::RedirectRefused => "redirect refused: ",
            _ => "",
        };
        Failure::new(kind, format!("{prefix}{self}"))
    }
}
