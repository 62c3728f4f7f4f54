//! `atelier list`: the tasks of a server, the newest first.

use std::{fmt::Write, process::ExitCode};

use clap::Args;
use serde_json::Value;

use super::{
    follow::plain,
    remote::{RemoteArgs, ask, print, print_json},
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those that are queued, running, completed, failed or cancelled
    #[arg(long)]
    status: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only those submitted before this one
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(arguments: ListArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let mut query = vec![("limit", arguments.limit.to_string())];
        query.extend(arguments.status.map(|status| ("status", status)));
        query.extend(arguments.before.map(|before| ("before", before)));
        let tasks: Value = client.get("/api/tasks", &query).await?.json().await?;
        if arguments.remote.json {
            print_json(&tasks)?;
        } else {
            print(table(&tasks).as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A line a task: what a person looks for first, the instruction last because it has no end.
fn table(tasks: &Value) -> String {
    let mut table = String::new();
    for task in tasks["tasks"].as_array().into_iter().flatten() {
        let text = |name: &str| task[name].as_str().unwrap_or_default();
        let state = task["stage"].as_str().filter(|_| text("status") == "running").unwrap_or(text("status"));
        let cost = task["usage"]["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), |cost| format!("${cost:.2}"));
        let instruction = plain(text("task")).lines().next().unwrap_or_default().chars().take(60).collect::<String>();
        let created = text("created_at").get(..16).unwrap_or_default().replace('T', " ");
        // Writing into a text cannot fail.
        let _ = writeln!(table, "{}  {created}  {state:<9}  {cost:>7}  {instruction}", text("id"));
    }
    table
}
