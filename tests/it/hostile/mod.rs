//! Input that means harm, sent the way anybody can send it: what is refused says why, and nothing half-made stays.
//! The tests are named by the requirement they prove; `docs/SECURITY.md` lists them.

mod archives;
mod bodies;
mod clones;
mod collecting;
mod deleting;
mod injection;
mod private_repositories;
mod programs;

use std::path::Path;

pub(crate) use programs::Programs;

use data_encoding::BASE64;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Task},
    model_server::{ModelServer, Reply},
};

/// A server whose model lets the agent run these commands, one a step, and then is done.
async fn obeying(commands: &[&str], settings: Settings) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    for command in commands {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    }
    model.will(Reply::text("Done."));
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

/// The answer is a refusal that a program can tell by its kind and a person can act on.
async fn refused(response: Response, status: u16, kind: &str) -> String {
    let answered = response.status();
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{kind}");
    let problem: Value = response.json().await.unwrap();
    assert_eq!((answered.as_u16(), problem["kind"].as_str().unwrap()), (status, kind), "{problem}");
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(detail.split_whitespace().count() > 4, "says what to change: {detail}");
    detail
}

/// What a folder takes on disk, in bytes.
fn disk_use(folder: &Path) -> u64 {
    let output = std::process::Command::new("du").args(["-s", "--block-size=1"]).arg(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// Files that hold the text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let output =
        std::process::Command::new("grep").args(["-r", "-l", "-a", "-F", "-e", text]).arg(folder).output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The token, as it is and as git sends it for this user, in nothing that the server wrote or shows.
pub(crate) async fn shown_nowhere(atelier: &Atelier, task: &Task<'_>, user: &str, token: &str) {
    let sent = BASE64.encode(format!("{user}:{token}").as_bytes());
    let mut texts = vec![atelier.server_log(), task.now().await.to_string(), format!("{:?}", task.events().await)];
    for path in [format!("/tasks/{}", task.id), format!("/tasks/{}/diff", task.id), "/".to_owned()] {
        texts.push(atelier.get(&path).await.text().await.unwrap());
    }
    for secret in [token, &sent] {
        assert_eq!(files_with(&atelier.data_dir(), secret), [""; 0]);
        assert!(!texts.iter().any(|text| text.contains(secret)), "{texts:?}");
    }
}

fn stdout(result: &Value) -> &str {
    result["stdout"].as_str().expect("a command has a stdout")
}
