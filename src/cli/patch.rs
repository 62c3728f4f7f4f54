//! `atelier diff` and `atelier apply`: the patch of a task, shown or put onto the working copy at hand.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::{
    TASK_FAILED,
    client::Client,
    remote::{RemoteArgs, ask, print, print_json},
    say,
};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The id of a task
    id: String,
    /// Write the change as a commit into this file instead, a git bundle: `git fetch FILE` and `git clone FILE` read it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The id of a task
    id: String,
    /// Only say whether it would apply
    #[arg(long)]
    check: bool,
    /// Where lines have changed since, merge, and leave what cannot be merged as conflicts
    #[arg(long = "3way", conflicts_with = "check")]
    three_way: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run_diff(arguments: DiffArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        if let Some(file) = arguments.bundle {
            let bundle = client.get(&format!("/tasks/{}/result.bundle", arguments.id), &[]).await?.bytes().await?;
            std::fs::write(&file, bundle).with_context(|| format!("cannot write {}", file.display()))?;
            say(&format!("Written. In a clone of the source: git fetch {} && git merge FETCH_HEAD", file.display()));
            return Ok(ExitCode::SUCCESS);
        }
        let patch = patch_of(&client, &arguments.id).await?;
        if arguments.remote.json {
            print_json(&json!({ "id": arguments.id, "patch": String::from_utf8_lossy(&patch) }))?;
        } else {
            print(&patch)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn run_apply(arguments: ApplyArgs) -> ExitCode {
    ask(async move {
        let patch = patch_of(&arguments.remote.connect()?, &arguments.id).await?;
        if patch.is_empty() {
            bail!("task {} changed no files: there is nothing to apply", arguments.id);
        }
        let options = match (arguments.check, arguments.three_way) {
            (true, _) => &["--check"][..],
            (_, true) => &["--3way"],
            _ => &[],
        };
        let applied = crate::blocking::run(move || apply(&patch, options)).await??;
        if arguments.remote.json {
            print_json(&json!({ "id": arguments.id, "applied": applied && !arguments.check, "applies": applied }))?;
        } else if applied && arguments.check {
            say("It applies.");
        } else if applied {
            say("Applied. `git diff` shows it; nothing is committed.");
        }
        Ok(if applied { ExitCode::SUCCESS } else { ExitCode::from(TASK_FAILED) })
    })
}

/// The whole patch; empty when the task changed nothing.
async fn patch_of(client: &Client, id: &str) -> anyhow::Result<Vec<u8>> {
    let task = client.task(id).await?;
    match task["diff"]["files"].as_u64() {
        None => bail!("task {id} has no patch: it is {}", task["status"].as_str().unwrap_or("unknown")),
        Some(0) => Ok(Vec::new()),
        Some(_) => client.log(id, "diff.patch").await,
    }
}

/// Whether git took it. What it has to say it says on stderr.
fn apply(patch: &[u8], options: &[&str]) -> anyhow::Result<bool> {
    let mut git = Command::new("git")
        .args(["apply", "--whitespace=nowarn"])
        .args(options)
        .arg("-")
        // From a folder further down git would leave out what lies above it.
        .current_dir(top_of_working_copy().as_deref().unwrap_or(Path::new(".")))
        .stdin(Stdio::piped())
        .spawn()
        .context("git does not start; is it installed?")?;
    if let Some(mut input) = git.stdin.take() {
        // A git that has ended already says why itself.
        let _ = input.write_all(patch);
    }
    Ok(git.wait()?.success())
}

/// `None` outside of a repository: git applies a patch there too.
fn top_of_working_copy() -> Option<PathBuf> {
    let output = Command::new("git").args(["rev-parse", "--show-toplevel"]).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(path.trim_end_matches('\n')))
}
