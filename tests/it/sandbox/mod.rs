//! The container of a task, asked from inside by the agent and from outside by `docker inspect`.

mod access;
mod kernel;
mod network;
mod profile;
mod registries;
mod resources;
mod setup;
mod speaker;

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings},
    model_server::{ModelServer, Reply},
};

/// A server whose model lets the agent run these commands, one a step.
async fn running(commands: &[&str], settings: Settings) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    for command in commands {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    }
    model.will(Reply::text("Done."));
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

fn stdout(result: &Value) -> &str {
    result["stdout"].as_str().expect("a command has a stdout")
}
