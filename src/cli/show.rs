//! `atelier show`: where one task stands and what came of it.

use std::{fmt::Write, process::ExitCode};

use clap::Args;
use serde_json::Value;

use super::{
    follow::plain,
    remote::{RemoteArgs, ask, print, print_json},
    run::usage,
};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The id of a task
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(arguments: ShowArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let task = client.task(&arguments.id).await?;
        if arguments.remote.json {
            print_json(&task)?;
        } else {
            print(shown(&task, &client.page(&format!("/tasks/{}", arguments.id))).as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn shown(task: &Value, page: &str) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, text: &str| {
        // Writing into a text cannot fail.
        let _ = writeln!(shown, "{name:<12} {}", plain(text).trim_end().replace('\n', "\n             "));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let stage = task["stage"].as_str().filter(|_| task["status"] == "running");
    line("status", &stage.map_or_else(|| text(&task["status"]), |stage| format!("running: {stage}")));
    let source = &task["source"];
    line("source", &text(if source["git_url"].is_null() { &source["name"] } else { &source["git_url"] }));
    for (name, value) in [
        ("instruction", &task["task"]),
        ("mode", &task["mode"]),
        ("model", &task["model"]),
        ("submitted", &task["created_at"]),
        ("started", &task["started_at"]),
        ("ended", &task["finished_at"]),
        ("waiting", &task["queue"]["message"]),
    ] {
        if let Some(value) = value.as_str() {
            line(name, value);
        }
    }
    line("used", &usage(task));
    if let Some(files) = task["diff"]["files"].as_u64() {
        let (plus, minus) = (&task["diff"]["insertions"], &task["diff"]["deletions"]);
        line("changes", &format!("{files} files, +{plus} -{minus}"));
    }
    for check in task["checks"].as_array().into_iter().flatten() {
        let claimed =
            check["claimed"]["status"].as_str().map_or_else(String::new, |status| format!("; claimed: {status}"));
        line("check", &format!("{} {} (server{claimed})", text(&check["command"]), text(&check["status"])));
    }
    if let Some(problem) = task["verification"]["problem"].as_str() {
        line("not checked", problem);
    }
    if let Some(kind) = task["error"]["kind"].as_str() {
        line("failure", &format!("{kind}: {}", text(&task["error"]["message"])));
    }
    if let Some(message) = task["pull_request"]["message"].as_str() {
        line("published", message);
    }
    let names = task["artifacts"].as_array().into_iter().flatten().filter_map(|artifact| artifact["name"].as_str());
    line("artifacts", &names.collect::<Vec<_>>().join(" "));
    line("page", page);
    if let Some(summary) = task["summary"].as_str() {
        let _ = writeln!(shown, "\n{}", plain(summary).trim_end());
    }
    shown
}
