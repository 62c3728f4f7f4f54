//! A turn of a task as the API shows it.

use jiff::Timestamp;
use serde::Serialize;

use super::check_body::VerificationBody;
use crate::{
    data_dir::turn_folder,
    domain::{
        failure::Failure,
        patch::DiffSummary,
        task::Status,
        task_id::TaskId,
        turn::{Turn, TurnOutcome},
        usage::Usage,
    },
    web::extract::BaseUrl,
};

/// One go at a task: the first instruction, or a follow-up after its end.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Turn)]
pub(in crate::web) struct TurnBody {
    /// Counts from 1 within the task.
    number: u32,
    instruction: String,
    status: Status,
    error: Option<Failure>,
    summary: Option<String>,
    /// Of this turn alone; the limits are of the whole task.
    steps: u32,
    usage: Usage,
    /// Of what this turn alone changed.
    diff: Option<DiffSummary>,
    /// The patch of that; null before there is one.
    diff_url: Option<String>,
    /// Of everything that was changed from the source on, as it was after this turn.
    whole_diff: Option<DiffSummary>,
    /// What the server's own runs of the checks came to.
    verification: Option<VerificationBody>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl TurnBody {
    /// All of a task.
    pub(super) fn all(turns: Vec<Turn>, id: &TaskId, base: &BaseUrl) -> Vec<Self> {
        let several = turns.len() > 1;
        turns.into_iter().map(|turn| Self::of(turn, several, id, base)).collect()
    }

    fn of(turn: Turn, is_one_of_several: bool, id: &TaskId, base: &BaseUrl) -> Self {
        let Turn { number, instruction, asked_at, own_diff, outcome } = turn;
        let TurnOutcome { status, failure, summary, steps, usage, diff, verification, started_at, finished_at } =
            outcome;
        let patch = if is_one_of_several {
            turn_folder(id.as_str().as_ref(), number).join("diff.patch").display().to_string()
        } else {
            format!("{id}/diff.patch")
        };
        Self {
            number,
            instruction: instruction.into(),
            status,
            error: failure,
            summary,
            steps,
            usage,
            diff: own_diff,
            diff_url: own_diff.map(|_| format!("{}/logs/{patch}", base.0)),
            whole_diff: diff,
            verification: verification.as_ref().map(VerificationBody::from),
            created_at: asked_at,
            started_at,
            finished_at,
        }
    }
}
