//! What happened in a task, in order. A page can be drawn from these alone.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    check::CheckRun,
    conversation::ToolCall,
    failure::Failure,
    patch::DiffSummary,
    pull_request::PullRequest,
    reference::CheckedReference,
    task::{Stage, Status},
    usage::Usage,
    verification::{Verification, VerifiedCheck},
};

/// A time as events hold it.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One entry of a task's event log. `seq` counts from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    #[serde(flatten)]
    pub(crate) body: EventBody,
}

/// Texts in events are capped and redacted before they get here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum EventBody {
    /// The task entered a status; the failure says why it is `failed`.
    Status {
        status: Status,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The task goes on after its end, with a further instruction.
    Turn { number: u32, instruction: String },
    /// What a person said while the task ran; the model reads it now.
    Told { number: u32, text: String },
    /// A stage began; the one before is over.
    Stage { stage: Stage },
    /// Something worth a line: how far a clone is, that there is no `setup.sh`, that the network is proven cut.
    Note { message: String },
    /// Something a person should look at although the task goes on.
    Warning { message: String },
    /// `setup.sh` ended.
    SetupEnded { exit_code: i64, duration_ms: u64 },
    /// Instructions of the repository were given to the model.
    AgentsFile { path: String, bytes: u64, cut_bytes: u64 },
    /// The model is being asked; step counts from 1.
    ModelAsked { step: u32 },
    /// The model answered.
    ModelReplied { step: u32, text: String, tool_calls: Vec<ToolCall>, usage: Usage, duration_ms: u64 },
    /// A tool call went to the agent. `call` counts from 1 within the task.
    ToolCalled { step: u32, call: u32, name: String, arguments: Value },
    /// Its result came back; the time is that between the two as the server saw it.
    ToolReturned { step: u32, call: u32, name: String, result: Map<String, Value>, duration_ms: u64 },
    /// The critique model judged the work; rounds count from 1.
    Critique { round: u32, decision: CritiqueDecision, comments: String, usage: Usage },
    /// The conversation filled the model's context: a summary took the place of its older part.
    Compacted { before_tokens: u64, kept_messages: u64 },
    /// The model wanted to finish, and was told once more what is missing.
    SentBack { message: String },
    /// The references of the explanation were looked up.
    References { references: Vec<CheckedReference> },
    /// How the checks stand at the end, as far as the agent ran them itself.
    Checks { checks: Vec<CheckRun> },
    /// The server itself ran a check, on a clean copy with the patch; numbers count from 1.
    Verified { number: usize, check: VerifiedCheck },
    /// What all of that came to.
    Verification { verification: Verification },
    /// `diff.patch` was written.
    Diff { diff: DiffSummary },
    /// A person left files or hunks out of the result, or took them in again; so many are left out now.
    Choice { left_out: usize, diff: DiffSummary },
    /// Publishing began or came to something.
    PullRequest { pull_request: PullRequest },
}

/// What a critique comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CritiqueDecision {
    /// The work is handed over.
    Accept,
    /// The model goes on with the comments.
    Revise,
}
