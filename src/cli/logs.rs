//! `atelier logs`: what happened in a task, or one of its files; with `-f` until it ends.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::Client,
    follow::{follow, tell},
    remote::{RemoteArgs, ask, print},
    run::exit_code,
};
use crate::domain::task::Status;

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The id of a task
    id: String,
    /// A file of it, such as setup.log or agent.log; without one, what happened step by step
    name: Option<String>,
    /// Go on until the task ends; the exit code tells its outcome then
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(arguments: LogsArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let id = &arguments.id;
        match (&arguments.name, arguments.remote.json) {
            (Some(name), _) => file(&client, id, name, arguments.follow).await?,
            (None, true) => events(&client, id, arguments.follow).await?,
            (None, false) if arguments.follow => follow(&client, id).await?,
            (None, false) => tell(&client, id).await?,
        }
        Ok(if arguments.follow { exit_code(&client.task(id).await?) } else { ExitCode::SUCCESS })
    })
}

async fn file(client: &Client, id: &str, name: &str, follow: bool) -> anyhow::Result<()> {
    const PAUSE: Duration = Duration::from_millis(500);
    if !follow {
        let mut pieces = client.get(&format!("/logs/{id}/{name}"), &[]).await?.bytes_stream();
        while let Some(piece) = pieces.next().await {
            print(&piece?)?;
        }
        return Ok(());
    }
    let mut known = 0;
    loop {
        // Asked before the file is read: what comes with the end is not missed.
        let has_ended = is_final(&client.task(id).await?["status"]);
        let bytes = client.log_growth(id, name, known).await?;
        known += bytes.len() as u64;
        print(&bytes)?;
        if bytes.is_empty() && has_ended {
            return Ok(());
        }
        if bytes.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Each event as a line of JSON.
async fn events(client: &Client, id: &str, follow: bool) -> anyhow::Result<()> {
    let mut stream = if follow { client.events(id, 0).await? } else { client.events_so_far(id).await? };
    while let Some(event) = stream.next().await? {
        print(format!("{event}\n").as_bytes())?;
    }
    Ok(())
}

fn is_final(status: &Value) -> bool {
    Status::deserialize(status).is_ok_and(Status::is_final)
}
