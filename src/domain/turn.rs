//! A task goes on after its end: what people tell it later, and its turns with what came of each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    failure::Failure,
    limits::LimitsWish,
    patch::DiffSummary,
    person::PersonId,
    task::{Instruction, Status},
    usage::Usage,
    verification::Verification,
};

/// What a person told a task after its first instruction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FollowUp {
    /// Counts from 1 within the task.
    pub(crate) number: u32,
    /// The turn that it belongs to.
    pub(crate) turn: u32,
    /// That turn began with it; else it was said while the task ran.
    pub(crate) begins_turn: bool,
    pub(crate) person: PersonId,
    pub(crate) text: Instruction,
    pub(crate) told_at: Timestamp,
    /// The step with which the model read it; none before.
    pub(crate) read_at_step: Option<u32>,
}

/// One on its way in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewFollowUp {
    pub(crate) person: PersonId,
    pub(crate) text: Instruction,
    /// The same key comes to the same follow-up, however often it is sent.
    pub(crate) key: Option<RequestKey>,
    /// Of the whole task, from now on.
    pub(crate) limits: LimitsWish,
}

/// What the sender of a request knows it by, so that it can be sent again safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestKey(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an Idempotency-Key has 1 to 200 visible ASCII characters")]
pub(crate) struct RequestKeyError;

const MAX_KEY_BYTES: usize = 200;

impl RequestKey {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for RequestKey {
    type Error = RequestKeyError;

    fn try_from(text: &str) -> Result<Self, RequestKeyError> {
        let fits = (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(RequestKeyError)
    }
}

/// One go at a task: its first instruction, or a follow-up after its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    /// Counts from 1 within the task.
    pub(crate) number: u32,
    pub(crate) instruction: Instruction,
    pub(crate) asked_at: Timestamp,
    /// Of what this turn alone changed.
    pub(crate) own_diff: Option<DiffSummary>,
    pub(crate) outcome: TurnOutcome,
}

/// What came of a turn; of the last one, how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TurnOutcome {
    pub(crate) status: Status,
    pub(crate) failure: Option<Failure>,
    pub(crate) summary: Option<String>,
    /// Of this turn alone.
    pub(crate) steps: u32,
    pub(crate) usage: Usage,
    /// Of the task from its source on, as it was after this turn.
    pub(crate) diff: Option<DiffSummary>,
    #[serde(default)]
    pub(crate) verification: Option<Verification>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}
