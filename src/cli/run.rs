//! `atelier run`: one task from the terminal, with or without a server that runs already.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    CANNOT_RUN, ConfigArgs, NOT_VERIFIED, TASK_CANCELLED, TASK_FAILED, block_on,
    follow::{follow, plain},
    remote::print,
    say,
    server::{Listen, Server},
    submission::Submission,
};
use crate::{config, telemetry};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) submission: Submission,
    /// Exit with 5 unless the server saw every check pass
    #[arg(long)]
    pub(crate) require_checks: bool,
}

pub(crate) fn run(arguments: RunArgs) -> ExitCode {
    telemetry::start(&config::log_filter("warn"), config::LogFormat::Text);
    block_on(run_once(arguments))
}

async fn run_once(arguments: RunArgs) -> anyhow::Result<ExitCode> {
    let server = Server::connect(&arguments.config, Listen::AnyPort).await?;
    let outcome = run_task(&server, &arguments.submission).await;
    let requires_checks = arguments.require_checks;
    // Our own server tidies up whatever came of the task.
    server.close().await?;
    let done = outcome?;
    Ok(if requires_checks && done.code == ExitCode::SUCCESS && !done.is_verified {
        ExitCode::from(NOT_VERIFIED)
    } else {
        done.code
    })
}

/// 128 + SIGINT: the person does not want to wait for the end of the cancelled task either.
const INTERRUPTED: i32 = 130;

/// How a task went.
pub(super) struct Done {
    pub(super) id: String,
    pub(super) code: ExitCode,
    /// The server saw every check pass, and there was one.
    pub(super) is_verified: bool,
}

/// Submits, follows, prints the patch on stdout and the explanation on stderr.
pub(super) async fn run_task(server: &Server, submission: &Submission) -> anyhow::Result<Done> {
    let client = &server.client;
    let id = submission.submit(client).await?;
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
        print(&patch)?;
    }
    if let Some(message) = task["pull_request"]["message"].as_str() {
        say(&plain(message));
    }
    say(&format!("{} · {}", usage(&task), server.place(&id)));
    Ok(Done { id, code: exit_code(&task), is_verified: task["verification"]["verdict"] == "passed" })
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without the signal the task is simply not cancelled from here.
        std::future::pending::<()>().await;
    }
}

pub(super) fn usage(task: &Value) -> String {
    let usage = &task["usage"];
    let tokens = usage["input_tokens"].as_u64().unwrap_or(0) + usage["output_tokens"].as_u64().unwrap_or(0);
    let cost = usage["cost_usd"].as_f64().map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost:.2}"));
    format!("{} steps, {tokens} tokens, {cost}", task["steps"])
}

/// Whether there is a pull request, as far as one was asked for and there was something to publish.
fn is_published(task: &Value) -> bool {
    task["mode"] != "pr" || matches!(task["pull_request"]["state"].as_str(), Some("opened" | "nothing_to_publish"))
}

pub(super) fn exit_code(task: &Value) -> ExitCode {
    match task["status"].as_str() {
        // The patch is there, but a pull request was asked for as well.
        Some("completed") if !is_published(task) => ExitCode::from(TASK_FAILED),
        Some("completed") => ExitCode::SUCCESS,
        Some("failed") => ExitCode::from(TASK_FAILED),
        Some("cancelled") => ExitCode::from(TASK_CANCELLED),
        _ => ExitCode::from(CANNOT_RUN),
    }
}
