//! Agent: the socket opens, the agent in the container asks, the brain answers, until one of them ends it.

use std::{collections::BTreeMap, fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::Context;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{
    exit::{Asker, Exit, hosts},
    fetch,
    watch::watch,
};
use crate::{
    brain::{ChecksToRun, Critic, EditWay, Fallback, Outcome, Reach, Session, SessionSettings},
    config::{AgentNetwork, EditFormat},
    domain::{
        check::{self, CheckCommand, CheckOrigin},
        failure::{Failure, FailureKind},
        task::Task,
    },
    git::Snapshot,
    llm::RetryPolicy,
    pipeline::{
        Pipeline,
        checkpoint::Checkpoint,
        live_patch::{Looking, current_patch},
        references::check_before_the_end,
    },
    sandbox::Container,
};

/// How long a question that is open when the server stops may take to be answered. Later it is asked again.
const LAST_ANSWER: Duration = Duration::from_secs(8);

/// Opens the socket to the agent and answers it until the end. `None` when the server stops before: the container runs
/// on, and its agent asks until the next server answers.
pub(crate) async fn agent(
    pipeline: &Pipeline,
    task: &Task,
    checkpoint: &Checkpoint,
    container: &Container,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Outcome>> {
    let (Some(fetched), Some(after_setup)) = (&checkpoint.fetched, &checkpoint.prepared) else {
        anyhow::bail!("the agent was to start before its workspace was ready");
    };
    let folder = pipeline.data_dir.task(&task.id);
    let llm = &pipeline.config.llm;
    let model =
        pipeline.models.get(&task.model).map_err(|error| Failure::new(FailureKind::LlmError, error.to_string()))?;
    if task.steps == 0 {
        note_unknown_prices(pipeline, task).await?;
    }
    let done = CancellationToken::new();
    // Dropped with this stage, however it ends: neither the socket nor a call of the model outlives it.
    let _ends = done.clone().drop_guard();
    let edit_way = match pipeline.config.agent.edit_format {
        EditFormat::Auto => EditWay::of(&task.model),
        EditFormat::Replace => EditWay::Replace,
        EditFormat::Patch => EditWay::Patch,
    };
    let agents_files = fetch::agents_files(folder.clone(), fetched.snapshot.clone()).await?;
    let settings = SessionSettings {
        model,
        fallback: fallback(pipeline, task)?,
        retry: RetryPolicy { tries: llm.max_tries, ..RetryPolicy::default() },
        max_output_tokens: llm.max_output_tokens,
        context_tokens: llm.context_tokens(&task.model),
        agents_files_max_bytes: pipeline.config.agent.agents_md_max_bytes,
        edit_way,
        on_oom: pipeline.config.sandbox.on_oom,
        day_limits: pipeline.config.agent.day_limits,
        checks: checks(pipeline, task, &agents_files, (&fetched.snapshot, after_setup), &checkpoint.looking, &done),
        critic: critic(pipeline, task, (&fetched.snapshot, after_setup), &checkpoint.looking, &done)?,
        agents_files,
        reach: match pipeline.config.sandbox.agent_network {
            AgentNetwork::None => Reach::Nothing,
            AgentNetwork::Proxied => Reach::Hosts(hosts(pipeline, task).iter().map(ToString::to_string).collect()),
        },
        reference_check: check_before_the_end(pipeline, task, after_setup),
        logs: pipeline.data_dir.task_logs(&task.id),
    };
    let (session, mut outcome) = Session::open(task.clone(), pipeline.db.clone(), settings, done.clone()).await?;
    let offered = serde_json::to_value(session.tools())?;
    pipeline.db.keep_offered_tools(&task.id, offered).await?;
    // A container that is taken back has its end of it already.
    let exit = match pipeline.config.sandbox.agent_network {
        AgentNetwork::None => None,
        AgentNetwork::Proxied => Some(Exit::open(pipeline, task, Asker::Agent)?),
    };
    let listener = listen(&folder.socket()).context("step socket")?;
    tokio::spawn((pipeline.serve_steps)(listener, session.clone(), done));
    let outcome = tokio::select! {
        biased;
        outcome = watch(pipeline, task, container, &session, &mut outcome) => {
            if let Ok(Outcome::Failed(Failure { kind: FailureKind::DockerRestart, .. })) = outcome {
                // Another container may go on: an answer that is paid for is not lost, and nothing is written after this.
                session.stop(LAST_ANSWER).await;
            }
            outcome.map(Some)
        }
        () = shutdown.cancelled() => {
            session.stop(LAST_ANSWER).await;
            Ok(None)
        }
    };
    if let Some(exit) = exit {
        exit.close().await?;
    }
    outcome
}

/// Said at the start, since a limit in dollars cannot hold then.
async fn note_unknown_prices(pipeline: &Pipeline, task: &Task) -> anyhow::Result<()> {
    let critic = pipeline.config.agent.critique_model.as_ref().filter(|_| task.mode.changes_code());
    let models = [Some(&task.model), critic.filter(|critic| **critic != task.model)];
    for unknown in models.into_iter().flatten().filter_map(|model| pipeline.config.llm.unknown_price_of(model)) {
        pipeline.note(task, unknown).await?;
    }
    Ok(())
}

/// What is to be run before a change is handed over.
fn checks(
    pipeline: &Pipeline,
    task: &Task,
    agents_files: &BTreeMap<String, String>,
    before_and_after_setup: (&Snapshot, &Snapshot),
    looking: &Looking,
    done: &CancellationToken,
) -> Option<ChecksToRun> {
    let commands: Vec<String> =
        listed(pipeline, task, agents_files).into_iter().map(|(command, _)| command.into()).collect();
    if commands.is_empty() || !task.mode.changes_code() {
        return None;
    }
    let current_patch = current_patch(pipeline, task, before_and_after_setup, looking, done);
    Some(ChecksToRun { commands, current_patch })
}

/// All checks of a task. `AGENTS.md` counts as it came in, whatever the agent made of it.
pub(super) fn listed(
    pipeline: &Pipeline,
    task: &Task,
    agents_files: &BTreeMap<String, String>,
) -> Vec<(CheckCommand, CheckOrigin)> {
    let of_root = agents_files.get("AGENTS.md").map(String::as_str);
    check::listed(&task.checks, of_root, &pipeline.config.checks.commands)
}

/// The model that goes on when the task's own is out of reach.
fn fallback(pipeline: &Pipeline, task: &Task) -> anyhow::Result<Option<Fallback>> {
    let name = pipeline.config.agent.fallback_model.clone().filter(|name| *name != task.model);
    let Some(name) = name else { return Ok(None) };
    let context_tokens = pipeline.config.llm.context_tokens(&name);
    Ok(Some(Fallback { model: pipeline.models.get(&name)?, name, context_tokens }))
}

/// The second model, when one is set and there is a patch to read.
fn critic(
    pipeline: &Pipeline,
    task: &Task,
    before_and_after_setup: (&Snapshot, &Snapshot),
    looking: &Looking,
    done: &CancellationToken,
) -> anyhow::Result<Option<Critic>> {
    let settings = &pipeline.config.agent;
    let Some(name) = settings.critique_model.clone().filter(|_| task.mode.changes_code()) else { return Ok(None) };
    let model = pipeline.models.get(&name).map_err(|error| Failure::new(FailureKind::LlmError, error.to_string()))?;
    let current_patch = current_patch(pipeline, task, before_and_after_setup, looking, done);
    Ok(Some(Critic { model, name, max_rounds: settings.max_critique_rounds, current_patch }))
}

/// The agent runs under another user id, so everybody who comes this far may connect; the data directory above is
/// private, and the directory is mounted into this one container only.
fn listen(socket: &std::path::Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o666))?;
    Ok(listener)
}
