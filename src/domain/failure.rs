//! Why a task failed: a kind for programs, a text for people.

use serde::{Deserialize, Serialize};

/// The end of a failed task. `message` says what happened and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Distinct causes; a person reacts differently to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The repository could not be fetched: wrong address, no access, no such ref.
    CloneFailed,
    CloneTimeout,
    /// The host resolves to an address the server must not talk to.
    AddressNotAllowed,
    RedirectRefused,
    TooLarge,
    /// The archive could not be unpacked.
    ZipInvalid,
    SetupFailed,
    SetupTimeout,
    /// Setup or agent were silent for longer than allowed.
    NoOutput,
    DockerUnavailable,
    /// The daemon was stopped while the agent worked, and ended its container.
    DockerRestart,
    ImageMissing,
    /// The network could not be proven cut, so the agent was not started.
    NetworkNotCut,
    /// The whole task took longer than allowed.
    Timeout,
    /// The kernel ended a process of the container for want of memory.
    Oom,
    /// The task wrote more than it may have on the disk.
    DiskLimit,
    ContainerKilled,
    AgentCrashed,
    /// The agent ended without finishing the task.
    AgentExited,
    /// A limit of steps, tokens or dollars was reached; the message says which.
    BudgetExceeded,
    /// The model repeated itself, and went on after it was told.
    Stuck,
    LlmUnavailable,
    /// The provider refused the request; asking again will not help.
    LlmError,
    LlmBadOutput,
    DiskFull,
    ServerRestarted,
    /// The forge asks for a login, or its token may not do that.
    ForgeLogin,
    /// The forge did not take the branch or the pull request.
    ForgeRefused,
    ForgeUnavailable,
    /// Somebody else's commits are on the branch of the task.
    BranchTaken,
    /// A secret of this server stands in what was to be published.
    HoldsSecret,
    /// What was to be published is kept no longer.
    ResultGone,
    /// Our machinery broke; the log of the server has the cause.
    Internal,
}

impl FailureKind {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CloneFailed => "clone_failed",
            Self::CloneTimeout => "clone_timeout",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::RedirectRefused => "redirect_refused",
            Self::TooLarge => "too_large",
            Self::ZipInvalid => "zip_invalid",
            Self::SetupFailed => "setup_failed",
            Self::SetupTimeout => "setup_timeout",
            Self::NoOutput => "no_output",
            Self::DockerUnavailable => "docker_unavailable",
            Self::DockerRestart => "docker_restart",
            Self::ImageMissing => "image_missing",
            Self::NetworkNotCut => "network_not_cut",
            Self::Timeout => "timeout",
            Self::Oom => "oom",
            Self::DiskLimit => "disk_limit",
            Self::ContainerKilled => "container_killed",
            Self::AgentCrashed => "agent_crashed",
            Self::AgentExited => "agent_exited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Stuck => "stuck",
            Self::LlmUnavailable => "llm_unavailable",
            Self::LlmError => "llm_error",
            Self::LlmBadOutput => "llm_bad_output",
            Self::DiskFull => "disk_full",
            Self::ServerRestarted => "server_restarted",
            Self::ForgeLogin => "forge_login",
            Self::ForgeRefused => "forge_refused",
            Self::ForgeUnavailable => "forge_unavailable",
            Self::BranchTaken => "branch_taken",
            Self::HoldsSecret => "holds_secret",
            Self::ResultGone => "result_gone",
            Self::Internal => "internal",
        }
    }
}
