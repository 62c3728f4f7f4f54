//! Agent: the socket opens, the agent in the container asks, the brain answers, until one of them ends it.

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use anyhow::Context;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{fetch::Fetched, setup::Prepared, watch::watch};
use crate::{
    brain::{ChecksToRun, Critic, EditWay, Outcome, Session, SessionSettings, Transcript},
    config::EditFormat,
    domain::{
        check,
        failure::{Failure, FailureKind},
        task::{Mode, Stage, Task},
    },
    llm::RetryPolicy,
    pipeline::{Pipeline, live_patch::current_patch, references::check_before_the_end},
};

pub(crate) async fn agent(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
    prepared: &Prepared,
) -> anyhow::Result<Outcome> {
    pipeline.db.enter_stage(&task.id, Stage::Agent).await?;
    let llm = &pipeline.config.llm;
    let model =
        pipeline.models.get(&task.model).map_err(|error| Failure::new(FailureKind::LlmError, error.to_string()))?;
    let done = CancellationToken::new();
    // Dropped with this stage, however it ends: neither the socket nor a call of the model outlives it.
    let _ends = done.clone().drop_guard();
    let edit_way = match pipeline.config.agent.edit_format {
        EditFormat::Auto => EditWay::of(&task.model),
        EditFormat::Replace => EditWay::Replace,
        EditFormat::Patch => EditWay::Patch,
    };
    let settings = SessionSettings {
        model,
        retry: RetryPolicy { tries: llm.max_tries, ..RetryPolicy::default() },
        max_output_tokens: llm.max_output_tokens,
        context_tokens: llm.context_tokens(&task.model),
        agents_files: fetched.agents_files.clone(),
        agents_files_max_bytes: pipeline.config.agent.agents_md_max_bytes,
        edit_way,
        on_oom: pipeline.config.sandbox.on_oom,
        checks: checks(pipeline, task, fetched, prepared, &done),
        critic: critic(pipeline, task, fetched, prepared, &done)?,
        reference_check: check_before_the_end(pipeline, task, prepared),
        transcript: Transcript::create(&pipeline.data_dir.task_logs(&task.id))?,
    };
    let (session, mut outcome) = Session::new(task.clone(), pipeline.db.clone(), settings, done.clone());
    let offered = serde_json::to_value(session.tools())?;
    pipeline.db.keep_offered_tools(&task.id, offered).await?;
    let listener = listen(&pipeline.data_dir.task(&task.id).socket()).context("step socket")?;
    tokio::spawn((pipeline.serve_steps)(listener, session.clone(), done));
    watch(pipeline, task, &prepared.container, &session, &mut outcome).await
}

/// What is to be run before a change is handed over.
fn checks(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
    prepared: &Prepared,
    done: &CancellationToken,
) -> Option<ChecksToRun> {
    let of_root = fetched.agents_files.get("AGENTS.md").map(String::as_str);
    let commands = check::commands(&pipeline.config.agent.checks, of_root);
    if commands.is_empty() || task.mode != Mode::Modify {
        return None;
    }
    Some(ChecksToRun { commands, current_patch: current_patch(pipeline, task, fetched, prepared, done) })
}

/// The second model, when one is set and there is a patch to read.
fn critic(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
    prepared: &Prepared,
    done: &CancellationToken,
) -> anyhow::Result<Option<Critic>> {
    let settings = &pipeline.config.agent;
    let Some(name) = settings.critique_model.clone().filter(|_| task.mode == Mode::Modify) else { return Ok(None) };
    let model = pipeline.models.get(&name).map_err(|error| Failure::new(FailureKind::LlmError, error.to_string()))?;
    let current_patch = current_patch(pipeline, task, fetched, prepared, done);
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
