//! Setup: the container is made, `setup.sh` runs in it as root with network, then the network is cut.

use std::{
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use atelier_agent::memory::MemoryReport;

use super::{
    aside,
    exit::{Asker, Exit, LineCount, hosts},
    fetch::{Fetched, SetupScript, bring},
    watch::{disk_limit, watched_trees},
};
use crate::{
    artifacts::CappedLog,
    blocking,
    config::{AgentNetwork, SetupNetwork},
    data_dir::{TaskDir, make_private_dir},
    domain::{
        event::{EventBody, milliseconds},
        failure::{Failure, FailureKind},
        task::{Mode, Stage, Task},
        verification,
    },
    git::{Snapshot, SnapshotLimits, Snapshots},
    pipeline::{Pipeline, checkpoint::Checkpoint},
    sandbox::{CodeAccess, Container, ContainerSpec, Network, Ownership, Purpose, SetupEnd, SetupTimes},
};

/// What is kept of the output of `setup.sh`.
const MAX_SETUP_LOG: u64 = 20 * 1024 * 1024;

/// Makes the container, whose agent waits for its socket; returns S1 with it, which without setup is S0.
pub(crate) async fn setup(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
) -> anyhow::Result<(Container, Snapshot)> {
    let folder = pipeline.data_dir.task(&task.id);
    let container = make_container(pipeline, task, fetched, Purpose::Work).await?;
    if fetched.setup_script.is_none() {
        pipeline.note(task, "There is no setup.sh; the container never had a network.").await?;
        return Ok((container, fetched.snapshot.clone()));
    }
    let (code, git_dir) = (folder.code(), folder.git());
    let (base, limits) = (fetched.snapshot.clone(), SnapshotLimits::from(&pipeline.config.source));
    let take = move || {
        let snapshots = Snapshots::open(&git_dir)?;
        let snapshot = snapshots.take(&code, Some(&base), &limits)?;
        snapshots.make_durable().map(|()| snapshot)
    };
    let snapshot = blocking::run(take).await?.context("snapshot after setup")?;
    Ok((container, snapshot))
}

/// Makes a new container for work that was begun in another one. What setup installed there is gone, so it runs again:
/// on the source as it came in, for what the agent wrote must not get near a network.
pub(crate) async fn renew(pipeline: &Pipeline, task: &Task, checkpoint: &Checkpoint) -> anyhow::Result<Container> {
    pipeline.db.enter_stage(&task.id, Stage::Setup).await?;
    let fetched = checkpoint.fetched.as_ref().context("a task with a container was fetched")?;
    aside::take_back(pipeline, task).await?;
    let container = if fetched.setup_script.is_some() {
        aside::put_aside(pipeline, task)?;
        let code = pipeline.data_dir.task(&task.id).code();
        bring(pipeline, task, &code, fetched.commit.clone()).await?;
        let container = make_container(pipeline, task, fetched, Purpose::Work).await?;
        aside::return_into(pipeline, task).await?;
        container
    } else {
        make_container(pipeline, task, fetched, Purpose::Work).await?
    };
    pipeline.db.enter_stage(&task.id, Stage::Agent).await?;
    Ok(container)
}

/// A container without network. If there is a `setup.sh`, it ran in there with one.
pub(super) async fn make_container(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
    purpose: Purpose,
) -> anyhow::Result<Container> {
    let folder = pipeline.data_dir.task(&task.id);
    prepare_folders(&folder, task).context("folders of the task")?;
    let access = match task.mode {
        Mode::Analyze => CodeAccess::ReadOnly,
        Mode::Modify | Mode::Pr => CodeAccess::ReadWrite,
    };
    pipeline.give(&task.id, vec![folder.output()], Ownership::Agent).await?;
    let network = match (&fetched.setup_script, pipeline.config.sandbox.setup_network) {
        (None, _) => Network::None,
        (Some(_), SetupNetwork::Bridge) => Network::Bridge,
        (Some(_), SetupNetwork::Proxied) => Network::Proxied,
    };
    let spec = ContainerSpec { purpose, ..container_spec(pipeline, task, &folder, network, access) };
    let container = start_container(pipeline, task, &spec).await?;
    if let Some(script) = &fetched.setup_script {
        let log = setup_log(&pipeline.data_dir.task_logs(&task.id), purpose)?;
        run_script(pipeline, task, script, &container, log).await?;
        let interfaces = container.cut_off(access).await?;
        pipeline.note(task, format!("Network cut; interfaces left: {}.", interfaces.0.join(", "))).await?;
    }
    if purpose == Purpose::Work && pipeline.config.sandbox.agent_network == AgentNetwork::Proxied {
        let hosts: Vec<String> = hosts(pipeline, task).iter().map(ToString::to_string).collect();
        let listed = if hosts.is_empty() { "nothing: no host is listed".to_owned() } else { hosts.join(", ") };
        pipeline.note(task, format!("Through the server's proxy the agent reaches {listed}.")).await?;
    }
    Ok(container)
}

/// Docker may go away between the claim and this. Nothing of the task has run in it yet, so the task waits for it here as
/// it would have in the queue.
async fn start_container(pipeline: &Pipeline, task: &Task, spec: &ContainerSpec) -> anyhow::Result<Container> {
    pipeline.db.forget_step_speaker(&task.id).await?;
    let was_tried = AtomicBool::new(false);
    let start = || async {
        if was_tried.swap(true, Ordering::Relaxed) {
            pipeline.engine.discard(&task.id).await?;
        }
        let container = pipeline.engine.create(spec).await?;
        container.start().await?;
        Ok(container)
    };
    Ok(pipeline.with_docker(&task.id, start).await?)
}
async fn run_script(
    pipeline: &Pipeline,
    task: &Task,
    script: &SetupScript,
    container: &Container,
    mut log: CappedLog,
) -> anyhow::Result<()> {
    let command = if script.is_executable {
        vec!["./setup.sh".to_owned()]
    } else {
        // Archives made on other systems lose the bit.
        pipeline.warn(task, "setup.sh is not executable; it was run with sh.").await?;
        vec!["sh".to_owned(), "./setup.sh".to_owned()]
    };
    let silence = pipeline.config.agent.no_output_timeout;
    let times = SetupTimes { total: Duration::from_secs(task.limits.setup_timeout_s), silence };
    let started = Instant::now();
    let lines = LineCount::default();
    let exit = match pipeline.config.sandbox.setup_network {
        SetupNetwork::Bridge => None,
        SetupNetwork::Proxied => Some(Exit::open(pipeline, task, Asker::Setup(lines.clone()))?),
    };
    let output = |bytes: &[u8]| {
        lines.add(bytes);
        log.write(bytes);
    };
    let trees = watched_trees(pipeline, task);
    let ended = tokio::select! {
        ended = container.run_setup(command, setup_environment(), times, output) => ended,
        used = container.overfills_disk(&trees) => {
            log.finish()?;
            return Err(disk_limit(pipeline, used).into());
        }
    };
    log.finish()?;
    if let Some(exit) = exit {
        exit.close().await?;
    }
    let hint =
        if script.has_windows_line_ends { " It has Windows line ends, which shells do not understand." } else { "" };
    let (kind, message) = match ended? {
        SetupEnd::Exited(code) => {
            let duration_ms = milliseconds(started.elapsed());
            pipeline.db.append_event(&task.id, EventBody::SetupEnded { exit_code: code, duration_ms }).await?;
            if code == 0 {
                return Ok(());
            }
            (
                FailureKind::SetupFailed,
                format!("setup.sh ended with exit code {code}.{hint} The end of setup.log:\n{}", log.tail()),
            )
        }
        SetupEnd::Silent => (
            FailureKind::NoOutput,
            format!(
                "setup.sh wrote nothing for {} s. Let it say what it does, or raise [agent] no_output_timeout_s. The end of \
                 setup.log:\n{}",
                silence.as_secs(),
                log.tail()
            ),
        ),
        SetupEnd::OutOfMemory(report) => (
            FailureKind::Oom,
            format!(
                "setup.sh failed out of memory: {}. Raise [sandbox] memory_mb, or let setup.sh do less at once. The end of \
                 setup.log:\n{}",
                report.map_or_else(|| "the kernel ended the container".to_owned(), MemoryReport::describe),
                log.tail()
            ),
        ),
        SetupEnd::Killed => (
            FailureKind::ContainerKilled,
            "The container was killed from outside while setup.sh ran. Start the task again.".to_owned(),
        ),
        SetupEnd::DockerRestarted => {
            (FailureKind::DockerRestart, "Docker was restarted while setup.sh ran.".to_owned())
        }
        SetupEnd::TimedOut => (
            FailureKind::SetupTimeout,
            format!(
                "setup.sh ran longer than its limit of {} s. Make it quicker, or start again with a higher setup_timeout_s. \
                 The end of setup.log:\n{}",
                task.limits.setup_timeout_s,
                log.tail()
            ),
        ),
    };
    Err(Failure::new(kind, message).into())
}

/// Where the words of `setup.sh` go.
fn setup_log(logs: &Path, purpose: Purpose) -> std::io::Result<CappedLog> {
    let name = match purpose {
        Purpose::Work => {
            keep_earlier_log(logs)?;
            "setup.log"
        }
        Purpose::Checks => verification::SETUP_LOG,
    };
    CappedLog::create(&logs.join(name), MAX_SETUP_LOG)
}

/// What an earlier attempt logged stays readable.
fn keep_earlier_log(logs: &Path) -> std::io::Result<()> {
    let log = logs.join("setup.log");
    if !log.exists() {
        return Ok(());
    }
    let names = (1..u32::MAX).map(|attempt| logs.join(format!("setup.attempt-{attempt}.log")));
    names.into_iter().find(|path| !path.exists()).map_or(Ok(()), |free| std::fs::rename(log, free))
}

fn prepare_folders(folder: &TaskDir, task: &Task) -> anyhow::Result<()> {
    make_private_dir(&folder.output())?;
    // Other users cannot come here: the data directory above is private.
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder.run())?;
    let file = serde_json::json!({
        "task_id": task.id,
        "instruction": task.instruction,
        "mode": task.mode,
        "model": task.model,
    });
    std::fs::write(folder.task_file(), serde_json::to_vec_pretty(&file)?)?;
    Ok(())
}

fn container_spec(
    pipeline: &Pipeline,
    task: &Task,
    folder: &TaskDir,
    network: Network,
    access: CodeAccess,
) -> ContainerSpec {
    let (agent, sandbox) = (&pipeline.config.agent, &pipeline.config.sandbox);
    // The limit that counts is the server's, by steps; this one only ends an agent whose server lost count.
    let iterations = u64::from(task.limits.max_steps).saturating_mul(20);
    ContainerSpec {
        task_id: task.id.clone(),
        purpose: Purpose::Work,
        image: task.image.clone(),
        network,
        code: folder.code(),
        // Setup may write even where the agent may not: what it must not write stays root's.
        code_access: if network == Network::None { access } else { CodeAccess::ReadWrite },
        output: folder.output(),
        run: folder.run(),
        task_file: folder.task_file(),
        agent_network: sandbox.agent_network,
        agent_command: agent.command.clone(),
        environment: [
            "MCP_SERVER_URL=unix:/run/atelier/step.sock".to_owned(),
            format!("MAX_MCP_ITERATIONS={iterations}"),
            format!("CMD_TIMEOUT={}", agent.command_timeout.as_secs()),
            format!("CMD_MAX_TIMEOUT={}", agent.command_max_timeout.as_secs()),
            format!("CMD_MAX_OUTPUT={}", agent.command_max_output),
            format!("CMD_POLICY={}", sandbox.command_policy.as_str()),
            format!("CMD_ALLOWLIST={}", sandbox.allowed_commands.join(",")),
            // Code the agent only reads belongs to another user, which git would refuse to look at.
            "GIT_CONFIG_COUNT=1".to_owned(),
            "GIT_CONFIG_KEY_0=safe.directory".to_owned(),
            "GIT_CONFIG_VALUE_0=/app/code".to_owned(),
        ]
        .into_iter()
        .chain(agent.forwarded.clone())
        .collect(),
    }
}

fn setup_environment() -> Vec<String> {
    ["HOME=/root", "DEBIAN_FRONTEND=noninteractive", "LANG=C.UTF-8", "TERM=dumb"].map(str::to_owned).to_vec()
}
