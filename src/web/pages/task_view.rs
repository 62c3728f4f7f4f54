//! What the page of a task shows beside its story: where it stands, what it cost, what came of it.

use std::path::PathBuf;

use askama::Template;
use jiff::Timestamp;

use super::{
    checks::ChecksView,
    diff::{PatchFile, file_view::FileView},
    explanation::Explanation,
    figures,
    links::TaskLinks,
    network::{self, HostView},
    pull_request::PullRequestView,
    turns::{FollowUpForm, TurnView},
};
use crate::{
    artifacts, blocking,
    domain::{
        event::{Event, EventBody},
        explanation::Block as TextBlock,
        feedback::Rating,
        person::Scope,
        pull_request::PullRequestState,
        source::Source,
        task::{Mode, Stage, Status, Task},
        task_id::TaskId,
        verification::SETUP_LOG,
    },
    web::{AppState, error::WebError, language, logs, owners::Owners, reading::Reader, waiting::Waiting, words},
};

/// The first files of the patch.
pub(super) struct ChangedFiles {
    pub(super) files: Vec<FileView>,
    pub(super) more: usize,
}

pub(super) struct TaskView {
    pub(super) task: Task,
    pub(super) links: TaskLinks,
    /// Whose it is, where several people are.
    pub(super) owner: Option<String>,
    /// What happens right now, and since when.
    pub(super) now: Option<(String, Timestamp)>,
    pub(super) stages: Vec<StageView>,
    pub(super) explanation: Option<Explanation>,
    pub(super) pull_request: Option<PullRequestView>,
    pub(super) checks: ChecksView,
    /// What the model was given of the repository's instructions.
    pub(super) instructions: Vec<Instructions>,
    /// That a limit in dollars cannot hold, and why.
    pub(super) cost_unknown: Option<String>,
    /// The counts of the changed files.
    pub(super) patch: Option<ChangedFiles>,
    pub(super) artifacts: Vec<artifacts::Artifact>,
    /// By host, refused ones first.
    pub(super) network: Vec<HostView>,
    /// Of a task with several.
    pub(super) turns: Vec<TurnView>,
    pub(super) follow_up: Option<FollowUpForm>,
}

/// The view on its own, as the live stream sends it; the page includes the same template.
#[derive(Template)]
#[template(path = "task/state.html")]
pub(super) struct StatePiece<'a> {
    pub(super) view: &'a TaskView,
}

/// An `AGENTS.md` that the model was given.
pub(super) struct Instructions {
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Of these, what there was no room for.
    pub(super) cut_bytes: u64,
}

pub(super) struct StageView {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) took: Option<String>,
    pub(super) since: Option<Timestamp>,
}

/// Only the counts are shown here, no lines.
const FILES: usize = 12;

pub(super) fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => tr!("Fetch"),
        Stage::Setup => tr!("Setup"),
        Stage::Agent => tr!("Agent"),
        Stage::Collect => tr!("Collect"),
        Stage::Verify => tr!("Verify"),
        Stage::Publish => tr!("Publish"),
        Stage::CleanUp => tr!("Clean up"),
    }
}

impl TaskView {
    pub(super) async fn load(state: &AppState, id: &TaskId, links: TaskLinks) -> Result<Self, WebError> {
        let reader = links.reader;
        let task = reader.task(state.db.task(id).await?)?;
        let outline = reader.value(state.db.outline(id).await?)?;
        let asked_at = |event: &Event| matches!(event.body, EventBody::Turn { .. }).then_some(event.at);
        let asked_at = outline.iter().rev().find_map(asked_at).unwrap_or(task.created_at);
        let now = match task.status {
            Status::Queued => Some((why_it_waits(state, &task, reader).await?, asked_at)),
            Status::Running => {
                let newest = reader.value(state.db.newest_event(id).await?)?;
                newest.map(|event| (what_happens(&event, &task), event.at))
            }
            Status::Completed | Status::Failed | Status::Cancelled => None,
        };
        let cost_unknown = state.config.llm.unknown_price_of(&task.model);
        let (mut checks, mut references, mut instructions) = (Vec::new(), Vec::new(), Vec::new());
        for event in &outline {
            match &event.body {
                EventBody::Checks { checks: now } => checks.clone_from(now),
                EventBody::References { references: now } => references.clone_from(now),
                EventBody::AgentsFile { path, bytes, cut_bytes } => {
                    instructions.push(Instructions { path: path.clone(), bytes: *bytes, cut_bytes: *cut_bytes });
                }
                _ => {}
            }
        }
        let explanation = task.summary.as_ref().map(|summary| Explanation::new(links.clone(), summary, references));
        let folder = state.data_dir.task_logs(id);
        let patch = match task.diff {
            Some(_) => ChangedFiles::read(folder.clone(), reader).await?,
            None => None,
        };
        let checks = ChecksView::of(&task, &checks, folder.clone(), &links).await?;
        let network = network::read(folder.clone(), reader).await?;
        let artifacts = blocking::run(move || artifacts::list(&folder)).await??;
        let owner = match reader {
            Reader::Person => Owners::seen_by(state, Scope::All).await?.of(&task),
            Reader::Visitor => None,
        };
        let pull_request = PullRequestView::of(state, &task, reader).await;
        let turns = if task.turn > 1 { TurnView::all(state, id, reader).await? } else { Vec::new() };
        let follow_up = FollowUpForm::of(state, &task, reader).await?;
        Ok(Self {
            turns,
            follow_up,
            stages: stages(&outline, &task),
            pull_request,
            task,
            links,
            owner,
            now,
            explanation,
            checks,
            instructions,
            cost_unknown,
            patch,
            artifacts,
            network,
        })
    }

    /// Beside the message of the failure, where that is in another language.
    pub(super) fn failure_meaning(&self) -> Option<&'static str> {
        words::meaning(self.task.failure.as_ref()?.kind)
    }

    pub(super) fn source_address(&self) -> Option<&str> {
        match &self.task.source {
            Source::Git { git_url, .. } => Some(git_url.as_str()),
            Source::Archive { .. } => None,
        }
    }

    /// The task has ended and its publishing has not: the page looks again by itself.
    pub(super) fn looks_again(&self) -> bool {
        self.task.status.is_final() && self.pull_request.as_ref().is_some_and(PullRequestView::is_under_way)
    }

    /// The instruction, when the title is not all of it.
    pub(super) fn whole_instruction(&self) -> Option<&str> {
        let text = self.task.instruction.as_str();
        (text != self.task.instruction.title()).then_some(text)
    }

    /// What it has used so far, in a few words.
    pub(super) fn used(&self) -> Option<String> {
        let steps = tr_count!(self.task.steps, "{n} step", "{n} steps");
        (self.task.usage.tokens() > 0).then(|| format!("{steps} · {}", figures::cost(self.task.usage)))
    }

    pub(super) fn time_limit(&self) -> String {
        let seconds = i64::try_from(self.task.limits.task_timeout_s).unwrap_or(i64::MAX);
        tr!("of {limit}", limit = figures::duration(jiff::SignedDuration::from_secs(seconds)))
    }

    pub(super) fn tokens_read_and_written(&self) -> Option<String> {
        let usage = self.task.usage;
        let [read, cached, written] =
            [usage.input_tokens, usage.cached_tokens, usage.output_tokens].map(figures::count);
        let text =
            || tr!("{read} read ({cached} cached), {written} written", read = read, cached = cached, written = written);
        (usage.tokens() > 0).then(text)
    }

    pub(super) fn network_words(&self) -> String {
        let hosts = self.network.len() as u64;
        match self.refused_hosts() {
            0 => tr_count!(hosts, "{n} host asked for through the proxy", "{n} hosts asked for through the proxy"),
            refused => {
                let hosts = figures::count(hosts);
                tr!("{n} hosts asked for through the proxy, {refused} refused", n = hosts, refused = refused)
            }
        }
    }

    pub(super) fn took(&self) -> Option<String> {
        self.task.started_at.zip(self.task.finished_at).map(|(start, end)| figures::between(start, end))
    }

    /// Setup is what the reader wants to see: it runs, or the task ended with it.
    pub(super) fn is_about_setup(&self) -> bool {
        self.task.stage == Some(Stage::Setup)
    }

    /// Whether there is anything to say about: not of a task that ended before the model's first word.
    pub(super) fn can_be_judged(&self) -> bool {
        let task = &self.task;
        let has_result = task.status == Status::Completed || (task.status.is_final() && task.steps > 0);
        has_result && !self.links.reader.is_visitor()
    }

    /// Whether the last word on it was this one.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(super) fn is_rated(&self, rating: &Rating) -> bool {
        self.task.feedback.as_ref().is_some_and(|feedback| feedback.rating == *rating)
    }

    pub(super) fn comment(&self) -> Option<&str> {
        self.task.feedback.as_ref()?.comment.as_deref()
    }

    pub(super) fn refused_hosts(&self) -> usize {
        self.network.iter().filter(|host| host.refused > 0).count()
    }

    /// Whether the clean copy for the checks had a `setup.sh` to run.
    pub(super) fn has_setup_log(&self) -> bool {
        self.artifacts.iter().any(|artifact| artifact.name == SETUP_LOG)
    }

    /// Whether a page can show it.
    #[expect(clippy::unused_self, reason = "templates call methods")]
    pub(super) fn is_text(&self, artifact: &artifacts::Artifact) -> bool {
        logs::is_text(&artifact.name)
    }

    /// Whether a host that was refused could be let through the next time.
    pub(super) fn can_allow_hosts(&self) -> bool {
        !self.links.reader.is_visitor()
            && self.task.status.is_final()
            && self.network.iter().any(|host| host.pattern.is_some())
    }

    /// It may be why the task failed.
    pub(super) fn is_network_open(&self) -> bool {
        self.task.status == Status::Failed && self.refused_hosts() > 0
    }

    /// Since when it runs.
    pub(super) fn running_since(&self) -> Option<Timestamp> {
        self.task.started_at.filter(|_| self.task.status == Status::Running)
    }
}

impl ChangedFiles {
    async fn read(logs: PathBuf, reader: Reader) -> Result<Option<Self>, WebError> {
        let Some(patch) = blocking::run(move || PatchFile::open(&logs, reader)).await?? else { return Ok(None) };
        let all = &patch.contents.files;
        let files = all.iter().zip(1..).take(FILES).map(|(file, n)| FileView::of(file, n)).collect();
        Ok(Some(Self { files, more: all.len().saturating_sub(FILES) }))
    }
}

fn stages(outline: &[Event], task: &Task) -> Vec<StageView> {
    let mut entered: Vec<(Stage, Timestamp)> = Vec::new();
    let mut end = None;
    for event in outline {
        match event.body {
            // A further turn goes through all of them again.
            EventBody::Turn { .. } => (entered, end) = (Vec::new(), None),
            EventBody::Stage { stage } => entered.push((stage, event.at)),
            EventBody::Status { status, .. } if status.is_final() => end = Some(event.at),
            _ => {}
        }
    }
    let view = |stage: Stage| {
        let word = stage_word(stage);
        // After a restart of the server a stage may have begun twice; the last time counts.
        let Some(at) = entered.iter().rposition(|(entered, _)| *entered == stage) else {
            return StageView { word, class: "pending", took: None, since: None };
        };
        let start = entered[at].1;
        let left = entered.get(at + 1).map(|(_, left)| *left);
        match left.or(end) {
            None => StageView { word, class: "active", took: None, since: Some(start) },
            Some(end) => {
                let is_where_it_failed = task.status == Status::Failed && task.stage == Some(stage);
                let class = if is_where_it_failed { "failed" } else { "done" };
                let took = figures::milliseconds(u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0));
                StageView { word, class, took: Some(took), since: None }
            }
        }
    };
    let is_shown = |stage: &Stage| match stage {
        Stage::Verify => task.verification.is_some(),
        Stage::Publish => task.mode == Mode::Pr,
        _ => true,
    };
    Stage::ALL.into_iter().filter(is_shown).map(view).collect()
}

async fn why_it_waits(state: &AppState, task: &Task, reader: Reader) -> Result<String, WebError> {
    match reader {
        Reader::Person => Ok(Waiting::of(state, task).await?.message()),
        // How the server fares is nobody else's.
        Reader::Visitor => Ok(tr!("Waiting for its turn.").to_owned()),
    }
}

/// The newest event, as what is going on now.
pub(super) fn what_happens(event: &Event, task: &Task) -> String {
    match &event.body {
        EventBody::ModelAsked { step } => tr!("Step {step}: {model} is thinking", step = step, model = task.model),
        EventBody::ToolCalled { step, name, arguments, .. } => {
            let what = ["command", "file_path", "path", "pattern"].iter().find_map(|key| arguments.get(key)?.as_str());
            let what: String = what.unwrap_or_default().lines().next().unwrap_or_default().chars().take(160).collect();
            tr!("Step {step}: {name} {what}", step = step, name = name, what = what)
        }
        EventBody::Note { message } | EventBody::Warning { message } => language::stored(message).into_owned(),
        _ => match task.stage {
            Some(Stage::Fetch) => tr!("Fetching the code").to_owned(),
            Some(Stage::Setup) => tr!("Running setup.sh").to_owned(),
            Some(Stage::Agent) => tr!("The agent is at work").to_owned(),
            Some(Stage::Collect) => tr!("Collecting the results").to_owned(),
            Some(Stage::Verify) => tr!("Running the checks on a clean copy").to_owned(),
            Some(Stage::Publish) => tr!("Publishing the result").to_owned(),
            Some(Stage::CleanUp) => tr!("Removing the container").to_owned(),
            None => tr!("Starting").to_owned(),
        },
    }
}
