//! A task as the API shows it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use super::{
    check_body::{CheckBody, VerificationBody},
    pull_request::PullRequestBody,
    turn_body::TurnBody,
};
use crate::{
    artifacts::{self, Artifact},
    blocking,
    domain::{
        failure::Failure,
        feedback::Feedback,
        host_pattern::HostPattern,
        limits::Limits,
        patch::DiffSummary,
        person::PersonId,
        reference::{CheckedReference, Reference},
        source::Source,
        task::{Mode, Stage, Status, Task},
        task_id::TaskId,
        usage::Usage,
    },
    web::{
        AppState,
        error::WebError,
        extract::BaseUrl,
        pages::network::{self, HostView},
        reading::Reader,
        waiting::{QueuePlace, Waiting},
    },
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Task)]
pub(in crate::web) struct TaskBody {
    #[schema(value_type = String, example = "20261120_abcdefghijkl")]
    id: TaskId,
    /// The name of who asked for it.
    owner: String,
    status: Status,
    /// Where a running task is; where a task that ended was.
    stage: Option<Stage>,
    mode: Mode,
    /// `PROVIDER/model-id`
    model: String,
    image: String,
    #[schema(value_type = SourceBody)]
    source: Source,
    /// The instruction.
    task: String,
    /// The number of its last turn. Status, stage, summary, error and times are of that turn; limits, usage, steps and diff of
    /// the whole task.
    turn: u32,
    /// All of them, in order. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    turns: Option<Vec<TurnBody>>,
    limits: Limits,
    /// Hosts that its proxy lets through besides the configured ones.
    #[schema(value_type = Vec<String>)]
    allow_hosts: Vec<HostPattern>,
    /// What was asked of its proxy, by host, refused ones first. Left out in lists, and without a proxy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network: Vec<HostView>,
    /// The explanation, in the model's words.
    summary: Option<String>,
    error: Option<Failure>,
    usage: Usage,
    /// That the cost cannot be known, for want of a price, and how to set it. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_unknown: Option<String>,
    /// Replies of the model so far.
    steps: u32,
    diff: Option<DiffSummary>,
    /// Of a queued task: its place, and why it does not run yet. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueuePlace>,
    /// What a person thought of the result.
    feedback: Option<Feedback>,
    /// Where the explanation points to; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Vec<ReferenceBody>>,
    /// What has to pass, as the server ran it itself, and what the agent claims of it. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<CheckBody>>,
    /// What the server's own runs of the checks came to; null where it ran none.
    verification: Option<VerificationBody>,
    /// Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Vec<ArtifactBody>>,
    /// Once one was asked for.
    pull_request: Option<PullRequestBody>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// The page of the task.
    url: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Artifact)]
struct ArtifactBody {
    name: String,
    size: u64,
    url: String,
}

/// Lines of the code that the explanation names, looked up in the code as it was at the end.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Reference)]
struct ReferenceBody {
    path: String,
    /// Lines count from 1.
    start: u32,
    end: u32,
    valid: bool,
    /// Why it is not valid.
    problem: Option<String>,
}

impl From<CheckedReference> for ReferenceBody {
    fn from(checked: CheckedReference) -> Self {
        let (valid, Reference { path, start, end }) = (checked.is_valid(), checked.reference);
        Self { path, start, end, valid, problem: checked.problem }
    }
}

/// How a source is described; the server writes the domain's own form of it.
#[expect(dead_code, reason = "describes the wire for the OpenAPI document")]
#[derive(utoipa::ToSchema)]
#[schema(as = Source)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SourceBody {
    Git { git_url: String, git_ref: Option<String> },
    Archive { name: String, bytes: u64 },
}

impl TaskBody {
    /// As it stands in a list: without artifacts.
    pub(super) fn listed(task: Task, base: &BaseUrl, names: &HashMap<PersonId, String>) -> Self {
        Self {
            url: format!("{}/tasks/{}", base.0, task.id),
            id: task.id,
            owner: names.get(&task.owner).cloned().unwrap_or_default(),
            status: task.status,
            stage: task.stage,
            mode: task.mode,
            model: task.model.to_string(),
            image: task.image,
            source: task.source,
            task: task.instruction.into(),
            turn: task.turn,
            turns: None,
            limits: task.limits,
            allow_hosts: task.allow_hosts,
            network: Vec::new(),
            summary: task.summary,
            error: task.failure,
            usage: task.usage,
            cost_unknown: None,
            steps: task.steps,
            diff: task.diff,
            queue: None,
            feedback: task.feedback,
            references: None,
            checks: None,
            verification: task.verification.as_ref().map(VerificationBody::from),
            artifacts: None,
            pull_request: task.pull_request.map(PullRequestBody::from),
            created_at: task.created_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
        }
    }

    pub(super) async fn whole(state: &AppState, task: Task, base: &BaseUrl) -> Result<Self, WebError> {
        let folder = state.data_dir.task_logs(&task.id);
        let network = network::read(folder.clone(), Reader::Person).await?;
        let found = blocking::run(move || artifacts::list(&folder)).await??;
        let artifacts = found.into_iter().map(|artifact| ArtifactBody::new(artifact, &task.id, base)).collect();
        let cost_unknown = state.config.llm.unknown_price_of(&task.model);
        let claimed = state.db.checks(&task.id).await?;
        let checks = CheckBody::all(task.verification.as_ref(), &claimed, &task.id, base);
        let references = state.db.references(&task.id).await?.into_iter().map(ReferenceBody::from).collect();
        let queue = match task.status {
            Status::Queued => Some(Waiting::of(state, &task).await?.into()),
            _ => None,
        };
        let turns = TurnBody::all(state.db.turns(&task.id).await?, &task.id, base);
        Ok(Self {
            turns: Some(turns),
            queue,
            network,
            artifacts: Some(artifacts),
            references: Some(references),
            checks: Some(checks),
            cost_unknown,
            ..Self::listed(task, base, &state.db.names().await?)
        })
    }
}

impl ArtifactBody {
    fn new(artifact: Artifact, id: &TaskId, base: &BaseUrl) -> Self {
        let Artifact { name, size } = artifact;
        let address = Url::parse(&base.0).ok().and_then(|mut url| {
            url.path_segments_mut().ok()?.pop_if_empty().extend(["logs", id.as_str()]).extend(name.split('/'));
            Some(url.into())
        });
        // A base that is no URL cannot be: it is checked in the configuration, and the host by its list.
        let url = address.unwrap_or_else(|| format!("{}/logs/{id}/{name}", base.0));
        Self { name, size, url }
    }
}
