//! A task: what was asked, where it stands, what came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    check::CheckCommand,
    failure::Failure,
    feedback::Feedback,
    host_pattern::HostPattern,
    limits::{Limits, LimitsWish},
    model_name::ModelName,
    patch::DiffSummary,
    person::PersonId,
    pull_request::PullRequest,
    source::Source,
    task_id::TaskId,
    trigger::Trigger,
    usage::Usage,
    verification::Verification,
};

/// A task as the database holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    /// Who asked for it.
    pub(crate) owner: PersonId,
    pub(crate) status: Status,
    /// Where a running task is; where a task that ended was.
    pub(crate) stage: Option<Stage>,
    pub(crate) mode: Mode,
    pub(crate) model: ModelName,
    pub(crate) image: String,
    pub(crate) source: Source,
    /// The first one; each follow-up is a turn.
    pub(crate) instruction: Instruction,
    /// The number of its last turn, which status, stage, summary, failure and times are about. Counts from 1.
    pub(crate) turn: u32,
    pub(crate) limits: Limits,
    /// What its proxy lets through besides the configured hosts.
    pub(crate) allow_hosts: Vec<HostPattern>,
    /// Checks that were given with it.
    pub(crate) checks: Vec<CheckCommand>,
    /// The explanation, in the model's words.
    pub(crate) summary: Option<String>,
    pub(crate) failure: Option<Failure>,
    pub(crate) usage: Usage,
    /// Replies of the model so far.
    pub(crate) steps: u32,
    /// Of `diff.patch`, once there is one.
    pub(crate) diff: Option<DiffSummary>,
    /// Of the last turn, once the server ran its checks itself.
    pub(crate) verification: Option<Verification>,
    pub(crate) feedback: Option<Feedback>,
    /// None as long as nobody asked for one.
    pub(crate) pull_request: Option<PullRequest>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

/// What form, JSON and command line become: everything a person may choose, checked for shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewTask {
    pub(crate) owner: PersonId,
    pub(crate) source: Source,
    pub(crate) instruction: Instruction,
    pub(crate) mode: Mode,
    /// The configured one when not given.
    pub(crate) model: Option<ModelName>,
    pub(crate) image: Option<String>,
    pub(crate) limits: LimitsWish,
    pub(crate) allow_hosts: Vec<HostPattern>,
    pub(crate) checks: Vec<CheckCommand>,
    /// What on a forge began it.
    pub(crate) trigger: Option<Trigger>,
}

/// What the agent may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Read and run, answer with references to file lines; the code is mounted read-only.
    Analyze,
    /// Change the code; the result is a patch.
    #[default]
    Modify,
    /// The same, and a pull request of it.
    Pr,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Analyze => "analyze",
            Self::Modify => "modify",
            Self::Pr => "pr",
        }
    }

    /// Whether the agent may change the code.
    pub(crate) fn changes_code(self) -> bool {
        self != Self::Analyze
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// The stages of a task, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Fetch,
    Setup,
    Agent,
    Collect,
    Verify,
    Publish,
    #[serde(rename = "clean_up")]
    CleanUp,
}

impl Stage {
    pub(crate) const ALL: [Self; 7] =
        [Self::Fetch, Self::Setup, Self::Agent, Self::Collect, Self::Verify, Self::Publish, Self::CleanUp];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Collect => "collect",
            Self::Verify => "verify",
            Self::Publish => "publish",
            Self::CleanUp => "clean_up",
        }
    }
}

/// What is to be done, in a person's words: not empty, at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Instruction(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum InstructionError {
    #[error("say what is to be done")]
    Empty,
    #[error("the instruction is longer than 64 KiB; put long material into a file of the repository")]
    TooLong,
}

pub(crate) const MAX_INSTRUCTION_BYTES: usize = 64 * 1024;

impl Instruction {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first line, for lists and titles.
    pub(crate) fn title(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }
}

impl TryFrom<String> for Instruction {
    type Error = InstructionError;

    fn try_from(text: String) -> Result<Self, InstructionError> {
        // Browsers send CRLF from a text area.
        let text = text.replace("\r\n", "\n").replace('\0', "").trim().to_owned();
        match text.len() {
            0 => Err(InstructionError::Empty),
            bytes if bytes > MAX_INSTRUCTION_BYTES => Err(InstructionError::TooLong),
            _ => Ok(Self(text)),
        }
    }
}

impl From<Instruction> for String {
    fn from(instruction: Instruction) -> Self {
        instruction.0
    }
}
