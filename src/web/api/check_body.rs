//! The checks of a task as the API shows them: what the server saw, and what the agent claims.

use serde::Serialize;

use crate::{
    domain::{
        check::{CheckOrigin, CheckRun, CheckStatus},
        task_id::TaskId,
        verification::{Verdict, Verification, VerifiedCheck, VerifiedStatus, check_log},
    },
    web::extract::BaseUrl,
};

/// A check. Status, exit code, seconds and log are those of the server's own run on a clean copy with the patch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Check)]
pub(super) struct CheckBody {
    command: String,
    /// Who wants it; null where only the agent was told of it.
    origin: Option<CheckOrigin>,
    status: VerifiedStatus,
    exit_code: Option<i64>,
    seconds: Option<f64>,
    /// The address of what it wrote.
    log: Option<String>,
    /// The agent's own last run, in its own container, at its end.
    claimed: Option<ClaimBody>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Claim)]
struct ClaimBody {
    status: CheckStatus,
    exit_code: Option<i64>,
}

/// What the server's own runs of the checks came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Verification)]
pub(super) struct VerificationBody {
    verdict: Verdict,
    /// Why not all of them were run.
    problem: Option<String>,
    /// Until the clean copy was ready, `setup.sh` included.
    prepared_seconds: Option<f64>,
    /// All of it.
    seconds: Option<f64>,
}

impl From<&Verification> for VerificationBody {
    fn from(verification: &Verification) -> Self {
        Self {
            verdict: verification.verdict(),
            problem: verification.problem.clone(),
            prepared_seconds: verification.prepared_ms.map(seconds),
            seconds: verification.took_ms.map(seconds),
        }
    }
}

impl CheckBody {
    /// All of a task.
    pub(super) fn all(
        verification: Option<&Verification>,
        claimed: &[CheckRun],
        id: &TaskId,
        base: &BaseUrl,
    ) -> Vec<Self> {
        let Some(verification) = verification else { return claimed.iter().map(Self::claimed_only).collect() };
        verification.checks.iter().zip(1..).map(|(check, number)| Self::of(check, number, claimed, id, base)).collect()
    }

    fn of(check: &VerifiedCheck, number: usize, claimed: &[CheckRun], id: &TaskId, base: &BaseUrl) -> Self {
        let command = check.command.as_ref();
        Self {
            command: command.to_owned(),
            origin: Some(check.origin),
            status: check.status,
            exit_code: check.exit_code,
            seconds: check.took_ms.map(seconds),
            log: check.took_ms.map(|_| format!("{}/logs/{id}/{}", base.0, check_log(number))),
            claimed: claimed.iter().find(|run| run.command == command).map(ClaimBody::of),
        }
    }

    fn claimed_only(run: &CheckRun) -> Self {
        Self {
            command: run.command.clone(),
            origin: None,
            status: VerifiedStatus::NotRun,
            exit_code: None,
            seconds: None,
            log: None,
            claimed: Some(ClaimBody::of(run)),
        }
    }
}

impl ClaimBody {
    fn of(run: &CheckRun) -> Self {
        Self { status: run.status, exit_code: run.exit_code }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nothing runs for so long")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
