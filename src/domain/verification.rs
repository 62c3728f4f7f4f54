//! Proof: the checks of a task as the server itself ran them, on a clean copy of the source with the patch.

use serde::{Deserialize, Serialize};

use super::check::{CheckCommand, CheckOrigin};

/// All checks of a turn, and how far the server is with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verification {
    pub(crate) checks: Vec<VerifiedCheck>,
    /// How often it was begun: a server that ends meanwhile begins anew.
    pub(crate) tries: u32,
    /// Over, whatever it came to.
    pub(crate) is_over: bool,
    /// Why not all of them were run.
    pub(crate) problem: Option<String>,
    /// What it took until the clean copy was ready, `setup.sh` included.
    pub(crate) prepared_ms: Option<u64>,
    /// Of all of it.
    pub(crate) took_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerifiedCheck {
    pub(crate) command: CheckCommand,
    pub(crate) origin: CheckOrigin,
    pub(crate) status: VerifiedStatus,
    /// 128 + N after signal N, as a shell counts.
    pub(crate) exit_code: Option<i64>,
    pub(crate) took_ms: Option<u64>,
    /// Of what is kept of its output.
    pub(crate) log_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerifiedStatus {
    /// Exit code 0.
    Passed,
    Failed,
    /// It did not end in time.
    TimedOut,
    /// It runs at this moment.
    Running,
    /// Not (yet).
    NotRun,
}

/// What a verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every check passed.
    Passed,
    /// At least one did not.
    Failed,
    /// None failed, and not all were run.
    Incomplete,
    UnderWay,
}

impl VerifiedStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Running => "running",
            Self::NotRun => "not run",
        }
    }
}

impl Verification {
    pub(crate) fn new(checks: Vec<(CheckCommand, CheckOrigin)>) -> Self {
        let check = |(command, origin)| VerifiedCheck {
            command,
            origin,
            status: VerifiedStatus::NotRun,
            exit_code: None,
            took_ms: None,
            log_bytes: 0,
        };
        let checks = checks.into_iter().map(check).collect();
        Self { checks, tries: 0, is_over: false, problem: None, prepared_ms: None, took_ms: None }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let is = |wanted: VerifiedStatus| move |check: &VerifiedCheck| check.status == wanted;
        if !self.is_over {
            Verdict::UnderWay
        } else if self
            .checks
            .iter()
            .any(|check| matches!(check.status, VerifiedStatus::Failed | VerifiedStatus::TimedOut))
        {
            Verdict::Failed
        } else if self.checks.iter().all(is(VerifiedStatus::Passed)) {
            Verdict::Passed
        } else {
            Verdict::Incomplete
        }
    }

    /// How many have this status.
    pub(crate) fn count(&self, status: VerifiedStatus) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// In a few words: "2 passed, 1 failed".
    pub(crate) fn counts(&self) -> Vec<(usize, VerifiedStatus)> {
        use VerifiedStatus::{Failed, NotRun, Passed, Running, TimedOut};
        let all = [Passed, Failed, TimedOut, Running, NotRun].map(|status| (self.count(status), status));
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

/// The log of a check, counted from 1, beneath the logs of its task.
pub(crate) fn check_log(number: usize) -> String {
    format!("{LOGS}/{number}.log")
}

/// The folder of these logs.
pub(crate) const LOGS: &str = "checks";
/// What `setup.sh` wrote when it made the clean copy ready.
pub(crate) const SETUP_LOG: &str = "checks/setup.log";
