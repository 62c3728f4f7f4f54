//! `atelier share`: links with which anybody reads a task, made, listed and revoked.

use std::{fmt::Write, process::ExitCode};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::remote::{RemoteArgs, ask, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// The id of a task
    id: String,
    /// Show a part alone: `diff`, or a file such as setup.log
    #[arg(long, value_name = "diff|FILE")]
    only: Option<String>,
    /// Days until the link ends
    #[arg(long, default_value_t = 7, conflicts_with = "forever")]
    days: u16,
    /// The link works until it is revoked
    #[arg(long)]
    forever: bool,
    /// List the links of the task, and make none
    #[arg(long, conflicts_with_all = ["only", "days", "forever"])]
    list: bool,
    /// Revoke a link of the task by the id that --list shows
    #[arg(long, value_name = "LINK", conflicts_with_all = ["only", "days", "forever", "list"])]
    revoke: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// The new link on stdout: it is told once and never again.
pub(crate) fn run(arguments: ShareArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let path = format!("/api/tasks/{}/shares", arguments.id);
        if let Some(link) = &arguments.revoke {
            client.delete(&format!("/api/shares/{link}")).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let answer: Value = if arguments.list {
            client.get(&path, &[]).await?.json().await?
        } else {
            client.post_json(&path, &arguments.wish()).await?
        };
        if arguments.remote.json {
            print_json(&answer)?;
        } else if arguments.list {
            print(table(&answer).as_bytes())?;
        } else {
            let url = answer["url"].as_str().context("the server told no link")?;
            print(format!("{url}\n").as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

impl ShareArgs {
    fn wish(&self) -> Value {
        let days = (!self.forever).then_some(self.days);
        match self.only.as_deref() {
            None => json!({ "scope": "task", "expires_in_days": days }),
            Some("diff") => json!({ "scope": "diff", "expires_in_days": days }),
            Some(file) => json!({ "scope": "log", "log": file, "expires_in_days": days }),
        }
    }
}

/// A line a link: its id, what it shows, until when, how often it was opened.
fn table(shares: &Value) -> String {
    let mut table = String::new();
    for share in shares["shares"].as_array().into_iter().flatten() {
        let text = |name: &str| share[name].as_str();
        let shows = text("log").or(text("scope")).unwrap_or_default();
        let until = text("expires_at").and_then(|at| at.get(..10)).unwrap_or("until revoked");
        let opened = share["opened"].as_u64().unwrap_or(0);
        // Writing into a text cannot fail.
        let _ = writeln!(table, "{}  {shows:<12}  {until}  opened {opened}×", text("id").unwrap_or_default());
    }
    table
}
