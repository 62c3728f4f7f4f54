//! `atelier run`: one task from the terminal, with or without a server that runs already.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::{
    CANNOT_RUN, ConfigArgs, TASK_CANCELLED, TASK_FAILED, block_on,
    client::Client,
    follow::{follow, plain},
    say,
    server::{Listen, Server},
};
use crate::{archive, config, telemetry};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// A Git URL, a directory or a zip
    #[arg(long, value_name = "URL|DIR|ZIP")]
    pub(crate) repo: String,
    /// What is to be done
    #[arg(long, value_name = "TEXT")]
    pub(crate) task: String,
    /// Branch, tag or commit of a Git URL
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) git_ref: Option<String>,
    /// modify (a patch), pr (a patch and a pull request) or analyze (an answer)
    #[arg(long)]
    pub(crate) mode: Option<String>,
    /// Open a pull request of the result: the same as --mode pr
    #[arg(long, conflicts_with = "mode")]
    pub(crate) pr: bool,
    /// PROVIDER/model-id; the configured one when not given
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The container image; the configured one when not given
    #[arg(long)]
    pub(crate) image: Option<String>,
}

pub(crate) fn run(arguments: RunArgs) -> ExitCode {
    telemetry::start(&config::log_filter("warn"), config::LogFormat::Text);
    block_on(run_once(arguments))
}

async fn run_once(arguments: RunArgs) -> anyhow::Result<ExitCode> {
    let server = Server::connect(&arguments.config, Listen::AnyPort).await?;
    let outcome = run_task(&server, &arguments).await;
    // Our own server tidies up whatever came of the task.
    server.close().await?;
    Ok(outcome?.code)
}

/// 128 + SIGINT: the person does not want to wait for the end of the cancelled task either.
const INTERRUPTED: i32 = 130;

/// How a task went.
pub(super) struct Done {
    pub(super) id: String,
    pub(super) code: ExitCode,
}

/// Submits, follows, prints the patch on stdout and the explanation on stderr.
pub(super) async fn run_task(server: &Server, arguments: &RunArgs) -> anyhow::Result<Done> {
    let client = &server.client;
    let id = submit(client, arguments).await?;
    say(&format!("Task {id}"));
    tokio::select! {
        followed = follow(client, &id) => followed?,
        () = interrupted() => {
            say("Cancelling …");
            client.cancel(&id).await?;
            tokio::select! {
                followed = follow(client, &id) => followed?,
                () = interrupted() => std::process::exit(INTERRUPTED),
            }
        }
    }
    let task = client.task(&id).await?;
    if let Some(summary) = task["summary"].as_str() {
        say(&format!("\n{summary}\n"));
    }
    if task["diff"]["files"].as_u64().is_some_and(|files| files > 0) {
        let patch = client.log(&id, "diff.patch").await?;
        std::io::stdout().write_all(&patch)?;
    }
    if let Some(message) = task["pull_request"]["message"].as_str() {
        say(&plain(message));
    }
    say(&format!("{} · {}", usage(&task), server.place(&id)));
    Ok(Done { id, code: exit_code(&task) })
}

async fn submit(client: &Client, arguments: &RunArgs) -> anyhow::Result<String> {
    let repo = Path::new(&arguments.repo);
    let mode = if arguments.pr { Some("pr".to_owned()) } else { arguments.mode.clone() };
    let choices = [("mode", &mode), ("model", &arguments.model), ("image", &arguments.image)];
    let choices = choices.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    if !repo.exists() {
        let mut source = json!({ "git_url": arguments.repo });
        if let Some(git_ref) = &arguments.git_ref {
            source["git_ref"] = json!(git_ref);
        }
        let mut body = json!({ "source": source, "task": arguments.task });
        for (name, value) in choices {
            body[name] = json!(value);
        }
        return client.submit_json(&body).await;
    }
    let mut fields: Vec<_> = choices.collect();
    fields.push(("task", arguments.task.clone()));
    if repo.is_dir() {
        let folder = tempfile::tempdir().context("temporary folder")?;
        let (directory, packed) = (repo.canonicalize()?, folder.path().join("source.zip"));
        let name = directory.file_name().map_or_else(|| "source".into(), |name| name.to_string_lossy().into_owned());
        let target = packed.clone();
        crate::blocking::run(move || archive::pack(&directory, &target)).await??;
        return client.submit_archive(&packed, &format!("{name}.zip"), fields).await;
    }
    let name = repo.file_name().map_or_else(|| "source.zip".into(), |name| name.to_string_lossy().into_owned());
    client.submit_archive(&PathBuf::from(repo), &name, fields).await
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without the signal the task is simply not cancelled from here.
        std::future::pending::<()>().await;
    }
}

fn usage(task: &Value) -> String {
    let usage = &task["usage"];
    let tokens = usage["input_tokens"].as_u64().unwrap_or(0) + usage["output_tokens"].as_u64().unwrap_or(0);
    let cost = usage["cost_usd"].as_f64().map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost:.2}"));
    format!("{} steps, {tokens} tokens, {cost}", task["steps"])
}

/// Whether there is a pull request, as far as one was asked for and there was something to publish.
fn is_published(task: &Value) -> bool {
    task["mode"] != "pr" || matches!(task["pull_request"]["state"].as_str(), Some("opened" | "nothing_to_publish"))
}

fn exit_code(task: &Value) -> ExitCode {
    match task["status"].as_str() {
        // The patch is there, but a pull request was asked for as well.
        Some("completed") if !is_published(task) => ExitCode::from(TASK_FAILED),
        Some("completed") => ExitCode::SUCCESS,
        Some("failed") => ExitCode::from(TASK_FAILED),
        Some("cancelled") => ExitCode::from(TASK_CANCELLED),
        _ => ExitCode::from(CANNOT_RUN),
    }
}
