//! `atelier submit`: hands a task to a server and leaves.

use std::process::ExitCode;

use clap::Args;

use super::{
    remote::{RemoteArgs, ask, print, print_json},
    say,
    submission::Submission,
};

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    submission: Submission,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// The id on stdout, for other commands; where to look at it on stderr.
pub(crate) fn run(arguments: SubmitArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let id = arguments.submission.submit(&client).await?;
        if arguments.remote.json {
            print_json(&client.task(&id).await?)?;
        } else {
            print(format!("{id}\n").as_bytes())?;
            say(&client.page(&format!("/tasks/{id}")));
        }
        Ok(ExitCode::SUCCESS)
    })
}
