//! Why a clone failed, in words that say what to do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::clone::CloneRequest;
use super::progress::Transcript;
use super::proxy::Refusal;
use crate::config::GitToken;
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::source::GitRef;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CloneError {
    #[error("the repository was not found; check the URL; if it is private: {0}")]
    NotFound(TokenAdvice),
    #[error("the server asks for a login, so the repository is private or does not exist; check the URL; {0}")]
    NeedsLogin(TokenAdvice),
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

/// What to do about the token for a host, by what there is of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenAdvice {
    #[error("add [source.tokens.\"{host}\"] with its token_env to the configuration")]
    Configure { host: String },
    #[error("set ${variable}, which [source.tokens] names for this host, in the environment of the server")]
    Set { variable: String },
    #[error("the token in ${variable} was refused: see that it is still valid and may read this repository")]
    Renew { variable: String },
}

impl TokenAdvice {
    fn for_request(request: &CloneRequest<'_>) -> Self {
        match request.token {
            None => Self::Configure { host: request.url.host_and_port() },
            Some(GitToken { variable, token: None, .. }) => Self::Set { variable: variable.clone() },
            Some(GitToken { variable, token: Some(_), .. }) => Self::Renew { variable: variable.clone() },
        }
    }
}

type Meaning = fn(&CloneRequest<'_>) -> Option<CloneError>;

/// Parts of git's messages (in the C locale, unchanged for years) and what they mean.
const MEANINGS: &[(&str, Meaning)] = &[
    ("No space left on device", |_| Some(CloneError::DiskFull)),
    ("could not read Username", needs_login),
    ("could not read Password", needs_login),
    ("Authentication failed", needs_login),
    ("returned error: 401", needs_login),
    ("returned error: 403", needs_login),
    ("returned error: 404", not_found),
    ("not found in upstream", no_such_ref),
    ("find remote ref", no_such_ref),
    ("not our ref", no_such_ref),
    ("unadvertised object", no_such_ref),
    ("not found", not_found),
    // Our URL is https or http: another protocol can only come from a redirect.
    ("Protocol \"", |_| Some(CloneError::Refused(Refusal::Redirect("another protocol".to_owned())))),
];

#[expect(clippy::unnecessary_wraps, reason = "a meaning may not apply")]
fn needs_login(request: &CloneRequest<'_>) -> Option<CloneError> {
    Some(CloneError::NeedsLogin(TokenAdvice::for_request(request)))
}

#[expect(clippy::unnecessary_wraps, reason = "a meaning may not apply")]
fn not_found(request: &CloneRequest<'_>) -> Option<CloneError> {
    Some(CloneError::NotFound(TokenAdvice::for_request(request)))
}

fn no_such_ref(request: &CloneRequest<'_>) -> Option<CloneError> {
    request.git_ref.cloned().map(CloneError::NoSuchRef)
}

impl CloneError {
    /// Reads what git complained about.
    pub(super) fn from_git(transcript: &Transcript, request: &CloneRequest<'_>) -> Self {
        MEANINGS
            .iter()
            .filter(|(part, _)| transcript.says(part))
            .find_map(|(_, meaning)| meaning(request))
            .unwrap_or_else(|| Self::Git(transcript.complaint()))
    }

    /// The end of the task, for the person who waits for it.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::NotFound(_)
            | Self::NeedsLogin(_)
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
