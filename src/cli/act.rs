//! `atelier cancel` and `atelier retry`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{
    remote::{RemoteArgs, ask, print, print_json},
    say,
};

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// The id of a task
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Stops a task in any stage; what it did so far is kept.
pub(crate) fn run_cancel(arguments: ActArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        client.cancel(&arguments.id).await?;
        if arguments.remote.json {
            print_json(&client.task(&arguments.id).await?)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The same task again, as a new one; its id on stdout.
pub(crate) fn run_retry(arguments: ActArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let task = client.post(&format!("/api/tasks/{}/retry", arguments.id)).await?;
        if arguments.remote.json {
            print_json(&task)?;
        } else {
            let id = task["id"].as_str().context("the server named no task")?;
            print(format!("{id}\n").as_bytes())?;
            say(&client.page(&format!("/tasks/{id}")));
        }
        Ok(ExitCode::SUCCESS)
    })
}
