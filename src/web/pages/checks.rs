//! The checks of a task on its pages: what the server saw, and what is only claimed.

use std::{
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{figures, links::TaskLinks, story::Tone, terminal};
use crate::{
    blocking,
    domain::{
        check::{CheckOrigin, CheckRun, CheckStatus},
        task::Task,
        verification::{SETUP_LOG, Verdict, Verification, VerifiedCheck, VerifiedStatus, check_log},
    },
    web::{error::WebError, language, reading::Reader},
};

/// Everything about the checks of a task; nothing where there are none.
#[derive(Debug, Default)]
pub(super) struct ChecksView {
    pub(super) rows: Vec<CheckView>,
    /// The server's word on all of them; empty where it ran none.
    pub(super) verdict: Option<(&'static str, String)>,
    pub(super) problem: Option<String>,
    /// How long the clean copy took, `setup.sh` included.
    pub(super) prepared: Option<String>,
    /// The page of what `setup.sh` wrote for the clean copy.
    pub(super) setup_log: Option<String>,
}

#[derive(Debug)]
pub(super) struct CheckView {
    pub(super) command: String,
    /// A word of the table, and for the colour.
    pub(super) status: &'static str,
    pub(super) remarks: String,
    /// Its page, and its end.
    pub(super) log: Option<(String, String)>,
    pub(super) is_open: bool,
}

/// What is shown of a log where it is folded.
const TAIL: u64 = 3000;

impl ChecksView {
    pub(super) async fn of(
        task: &Task,
        claimed: &[CheckRun],
        logs: PathBuf,
        links: &TaskLinks,
    ) -> Result<Self, WebError> {
        let Some(verification) = task.verification.clone() else { return Ok(Self::claimed_only(claimed)) };
        let reader = links.reader;
        let count = verification.checks.len();
        let read = move || -> Vec<Option<String>> {
            (1..=count).map(|number| tail(&logs, &check_log(number), reader).unwrap_or_default()).collect()
        };
        let tails = blocking::run(read).await?;
        let rows = verification.checks.iter().zip(tails).zip(1..).map(|((check, tail), number)| {
            let log = tail.filter(|_| check.log_bytes > 0).map(|tail| (links.log(&check_log(number)), tail));
            CheckView::verified(check, claimed, log)
        });
        Ok(Self {
            rows: rows.collect(),
            prepared: verification.prepared_ms.map(figures::milliseconds),
            setup_log: verification.prepared_ms.map(|_| links.log(SETUP_LOG)),
            verdict: Some((class(verification.verdict()), verdict(&verification))),
            problem: verification.problem,
        })
    }

    fn claimed_only(claimed: &[CheckRun]) -> Self {
        let rows = claimed.iter().map(|run| CheckView {
            command: run.command.clone(),
            status: run.status.as_str(),
            remarks: run.exit_code.map(|code| tr!("exit code {code}", code = code)).unwrap_or_default(),
            log: None,
            is_open: false,
        });
        Self { rows: rows.collect(), ..Self::default() }
    }
}

impl CheckView {
    fn verified(check: &VerifiedCheck, claimed: &[CheckRun], log: Option<(String, String)>) -> Self {
        let command = check.command.as_ref();
        let claim = claimed.iter().find(|run| run.command == command);
        let origin = match check.origin {
            CheckOrigin::Task => tr!("from the task"),
            CheckOrigin::AgentsMd => tr!("from AGENTS.md"),
            CheckOrigin::Configuration => tr!("from the server's settings"),
        };
        let code = check.exit_code.filter(|code| *code != 0).map(|code| tr!("exit code {code}", code = code));
        let claim = claim.map(|run| tr!("the agent claims: {status}", status = language::word(run.status.as_str())));
        let remarks = [code, check.took_ms.map(figures::milliseconds), Some(origin.to_owned()), claim];
        Self {
            command: command.to_owned(),
            status: check.status.as_str(),
            remarks: remarks.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            is_open: matches!(check.status, VerifiedStatus::Failed | VerifiedStatus::TimedOut),
            log,
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Incomplete | Verdict::UnderWay => "open",
    }
}

/// The agent's own runs, in the story.
pub(super) fn claimed(runs: &[CheckRun]) -> (Tone, String) {
    let of = |status| runs.iter().filter(|run| run.status == status).count();
    let counts: Vec<String> = [CheckStatus::Passed, CheckStatus::Failed, CheckStatus::NotRun]
        .map(|status| (of(status), status))
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| format!("{count} {}", language::word(status.as_str())))
        .collect();
    let tone = if of(CheckStatus::Passed) == runs.len() { Tone::Note } else { Tone::Warning };
    (tone, tr!("Checks, as the agent ran them: {counts}", counts = counts.join(", ")))
}

/// One of the server's, in the story.
pub(super) fn verified(check: &VerifiedCheck) -> (Tone, String) {
    let tone = if check.status == VerifiedStatus::Passed { Tone::Note } else { Tone::Warning };
    let status = language::word(check.status.as_str());
    let took = check.took_ms.map(figures::milliseconds).unwrap_or_default();
    let command = check.command.as_ref();
    (tone, tr!("Check run by the server: {command}: {status}, {time}", command = command, status = status, time = took))
}

/// All of the server's, in the story.
pub(super) fn over(verification: &Verification) -> (Tone, String) {
    let tone = if verification.verdict() == Verdict::Passed { Tone::Success } else { Tone::Warning };
    let problem = verification.problem.as_deref().map(language::stored);
    let problem = problem.map(|problem| format!(" · {problem}")).unwrap_or_default();
    (tone, format!("{}{problem}", verdict(verification)))
}

/// In one line, for the pages of the task and of its diff.
pub(super) fn verdict(verification: &Verification) -> String {
    let counts: Vec<String> = verification
        .counts()
        .into_iter()
        .map(|(count, status)| format!("{count} {}", language::word(status.as_str())))
        .collect();
    let counts = counts.join(", ");
    match verification.took_ms {
        Some(took) => {
            tr!("Run by the server: {counts}, in {time}", counts = counts, time = figures::milliseconds(took))
        }
        None => tr!("Run by the server: {counts}", counts = counts),
    }
}

/// The end of a log, as plain text. Blocks.
fn tail(logs: &Path, name: &str, reader: Reader) -> std::io::Result<Option<String>> {
    let Some(mut file) = reader.open(logs, name)? else { return Ok(None) };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // A line that was cut in two says nothing.
    let whole = if size > TAIL { text.split_once('\n').map_or(&*text, |(_, rest)| rest) } else { &*text };
    Ok(Some(terminal::plain(whole).trim_end().to_owned()))
}
