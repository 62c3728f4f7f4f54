//! `atelier reply`: tells a task something; one that has ended goes on with it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    follow::follow_after,
    remote::{RemoteArgs, ask, print_json},
    run::exit_code,
    say,
};

#[derive(Debug, Args)]
pub(crate) struct ReplyArgs {
    /// The id of a task
    id: String,
    /// What it is told
    text: String,
    /// Stay until the task ends; the exit code tells its outcome then
    #[arg(short, long)]
    follow: bool,
    /// Steps of the whole task from now on, all turns together
    #[arg(long, value_name = "N")]
    max_steps: Option<u32>,
    /// Tokens of the whole task from now on
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Dollars for the whole task from now on
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
    /// Words of yours for this reply: sent again with the same, nothing happens twice
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) fn run(arguments: ReplyArgs) -> ExitCode {
    ask(async move {
        let client = arguments.remote.connect()?;
        let id = &arguments.id;
        let seen = client.last_event(id).await?;
        let path = format!("/api/tasks/{id}/messages");
        let told = client.post_once(&path, &arguments.body(), arguments.key.as_deref()).await?;
        if arguments.remote.json {
            print_json(&told)?;
        } else if told["begins_turn"] == true {
            say(&format!("Turn {} · {}", told["turn"], client.page(&format!("/tasks/{id}"))));
        } else {
            say("The model reads it with its next step.");
        }
        if !arguments.follow {
            return Ok(ExitCode::SUCCESS);
        }
        follow_after(&client, id, seen).await?;
        Ok(exit_code(&client.task(id).await?))
    })
}

impl ReplyArgs {
    fn body(&self) -> Value {
        let limits = [
            ("max_steps", self.max_steps.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("max_cost_usd", self.max_cost_usd.map(Value::from)),
        ];
        let limits = limits.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        json!({ "text": self.text, "limits": limits.collect::<Map<_, _>>() })
    }
}
