//! Watching a task from the terminal: a line for what happened, a bar for what happens now.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::{client::Client, say};
use crate::domain::{
    event::{CritiqueDecision, Event, EventBody},
    task::Stage,
    verification::VerifiedCheck,
};

/// Shows the events of a task until it ends. A connection that breaks is taken up again where it broke.
pub(super) async fn follow(client: &Client, id: &str) -> anyhow::Result<()> {
    follow_after(client, id, 0).await
}

/// The same, without the events up to this one.
pub(super) async fn follow_after(client: &Client, id: &str, mut last: u64) -> anyhow::Result<()> {
    const AGAIN_AFTER: Duration = Duration::from_millis(500);
    const TRIES: u32 = 20;

    let task = client.task(id).await?;
    // Who waits in line sees that; what keeps the whole line waiting is worth a word.
    if let (Some(reason), Some(message)) = (task["queue"]["reason"].as_str(), task["queue"]["message"].as_str())
        && !matches!(reason, "next" | "busy" | "starting")
    {
        say(message);
    }
    let max_steps = task["limits"]["max_steps"].as_u64().unwrap_or(0);
    let mut view = View::new(max_steps);
    let mut failures = 0;
    loop {
        match follow_once(client, id, &mut last, &mut view).await {
            Ok(true) => return Ok(()),
            Ok(false) => failures = 0,
            Err(error) if failures >= TRIES => return Err(error),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Shows what has happened so far.
pub(super) async fn tell(client: &Client, id: &str) -> anyhow::Result<()> {
    let mut view = View::new(0);
    let mut events = client.events_so_far(id).await?;
    while let Some(event) = events.next().await? {
        if let Ok(event) = serde_json::from_str::<Event>(&event) {
            view.show(&event.body);
        }
    }
    view.bar.finish_and_clear();
    Ok(())
}

/// Whether the task has ended; otherwise the stream broke off. The end of a turn that another one follows is none.
async fn follow_once(client: &Client, id: &str, last: &mut u64, view: &mut View) -> anyhow::Result<bool> {
    let mut events = client.events(id, *last).await?;
    let mut has_ended = false;
    while let Some(event) = events.next().await? {
        let Ok(event) = serde_json::from_str::<Event>(&event) else { continue };
        *last = event.seq;
        view.show(&event.body);
        if let EventBody::Status { status, .. } = &event.body {
            has_ended = status.is_final();
        }
    }
    if has_ended {
        view.bar.finish_and_clear();
    }
    Ok(has_ended)
}

struct View {
    bar: ProgressBar,
    is_terminal: bool,
    /// The tool call that is under way.
    called: String,
}

/// Columns of an instruction or command that a line shows.
const LINE: usize = 100;

impl View {
    fn new(max_steps: u64) -> Self {
        let bar = ProgressBar::new(max_steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} [{bar:20}] {pos}/{len} steps, {elapsed}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, is_terminal: std::io::stderr().is_terminal(), called: String::new() }
    }

    fn show(&mut self, body: &EventBody) {
        match body {
            EventBody::Status { status, failure } => {
                self.line(&format!("● {}", status.as_str()));
                if let Some(failure) = failure {
                    self.line(&format!("  {}: {}", failure.kind.as_str(), plain(&failure.message)));
                }
            }
            EventBody::Turn { number, instruction } => {
                self.line(&format!("● turn {number}: {}", shorten(&plain(instruction))));
            }
            EventBody::Told { text, .. } => {
                self.line(&format!("  the model reads what you said: {}", shorten(&plain(text))));
            }
            EventBody::Stage { stage } => self.now(&format!("▸ {}", stage_text(*stage))),
            EventBody::Note { message } => self.line(&format!("  {}", plain(message))),
            EventBody::Warning { message } => self.line(&format!("  ! {}", plain(message))),
            EventBody::SetupEnded { exit_code, duration_ms } => {
                self.line(&format!("  setup.sh ended with {exit_code} after {}", seconds(*duration_ms)));
            }
            EventBody::AgentsFile { path, bytes, .. } => self.line(&format!("  {path} loaded ({bytes} bytes)")),
            EventBody::ModelAsked { step } => {
                self.bar.set_position(u64::from(*step));
                self.bar.set_message(format!("step {step}: the model thinks"));
            }
            // The last answer is the explanation, shown whole at the end.
            EventBody::ModelReplied { tool_calls, .. } if tool_calls.is_empty() => {}
            EventBody::ModelReplied { text, .. } => {
                for line in plain(text).lines().filter(|line| !line.trim().is_empty()).take(3) {
                    self.line(&format!("  {}", shorten(line)));
                }
            }
            EventBody::ToolCalled { name, arguments, .. } => {
                self.called = format!("{name} {}", shorten(&subject(arguments)));
                self.bar.set_message(self.called.clone());
            }
            EventBody::ToolReturned { result, duration_ms, step, .. } => {
                let (called, outcome) = (&self.called, outcome(result));
                self.line(&format!("  {step:>3} {called} → {outcome} ({})", seconds(*duration_ms)));
            }
            EventBody::Critique { decision, comments, .. } => {
                self.line(match decision {
                    CritiqueDecision::Accept => "  critique: accepted",
                    CritiqueDecision::Revise => "  critique: sent back",
                });
                for line in plain(comments).lines().filter(|line| !line.trim().is_empty()) {
                    self.line(&format!("    {}", shorten(line)));
                }
            }
            EventBody::Compacted { before_tokens, .. } => {
                self.line(&format!("  older part of the conversation summed up ({before_tokens} tokens before)"));
            }
            EventBody::SentBack { message } => self.line(&format!("  sent back: {}", plain(message))),
            EventBody::References { references } => {
                for checked in references {
                    if let Some(problem) = &checked.problem {
                        self.line(&format!("  ! {}: {}", plain(&checked.reference.to_string()), plain(problem)));
                    }
                }
            }
            EventBody::Checks { checks } => {
                for check in checks {
                    self.line(&format!("  check {} (by the agent): {}", check.status.as_str(), plain(&check.command)));
                }
            }
            EventBody::Verified { check, .. } => self.line(&format!("  {}", verified(check))),
            EventBody::Verification { verification } => {
                if let Some(problem) = &verification.problem {
                    self.line(&format!("  ! not all checks were run: {}", plain(problem)));
                }
            }
            EventBody::PullRequest { pull_request } => self.line(&format!("  {}", plain(&pull_request.message()))),
            EventBody::Choice { left_out, diff } => {
                self.line(&format!("  {left_out} files or hunks are left out; {} files changed", diff.files));
            }
            EventBody::Diff { diff } => self.line(&format!(
                "  {} files changed, {} insertions, {} deletions",
                diff.files, diff.insertions, diff.deletions
            )),
        }
    }

    fn now(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        self.line(text);
    }

    fn line(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else {
            say(text);
        }
    }
}

fn verified(check: &VerifiedCheck) -> String {
    let code = check.exit_code.filter(|code| *code != 0).map(|code| format!(", exit {code}")).unwrap_or_default();
    let took = check.took_ms.map(|took| format!(" ({})", seconds(took))).unwrap_or_default();
    format!("check {} (by the server){code}: {}{took}", check.status.as_str(), plain(check.command.as_ref()))
}

fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "fetch the source",
        Stage::Setup => "prepare the container",
        Stage::Agent => "agent at work",
        Stage::Collect => "collect the result",
        Stage::Verify => "run the checks on a clean copy",
        Stage::Publish => "publish it",
        Stage::CleanUp => "clean up",
    }
}

/// What a tool call is about: its command or its file.
fn subject(arguments: &Value) -> String {
    let subject = ["command", "file_path", "pattern", "path"].iter().find_map(|key| arguments[key].as_str());
    plain(subject.unwrap_or_default())
}

fn outcome(result: &Map<String, Value>) -> String {
    let code = result.get("returncode").map(|code| format!("exit {code}"));
    let message = || result.get("message").and_then(Value::as_str).map(|text| shorten(&plain(text)));
    let status = || result.get("status").and_then(Value::as_str).unwrap_or("no status").to_owned();
    code.or_else(message).unwrap_or_else(status)
}

/// Whatever a model or a repository wrote must not steer the terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= LINE { line.to_owned() } else { line.chars().take(LINE - 1).chain(['…']).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a duration for people")]
fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}
