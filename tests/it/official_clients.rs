//! The model server speaks the published formats: the providers' own Python clients understand it and are understood.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::model_server::{ModelServer, Reply};

/// The modules, and the interfaces that are tried with them.
const MODULES: [&str; 3] = ["openai", "anthropic", "ollama"];
const CLIENTS: [&str; 4] = ["openai", "responses", "anthropic", "ollama"];
const RELEASES: [&str; 3] = ["openai==3.52.0", "anthropic==2.11.0", "ollama==0.6.3"];

#[tokio::test]
async fn official_clients_understand_the_model_server() {
    let python = python_with_clients().await;
    for client in CLIENTS {
        let server = ModelServer::start().await;
        let looks = || Reply::text("Let me look.").tool_call("read_file", json!({"path": "a.txt"})).usage(100, 60, 20);
        server.will(looks());
        server.will(Reply::text("It says hello.").usage(130, 100, 5));
        server.will(Reply::status(429, "slow down").with_header("retry-after", "7"));
        server.will(Reply::text("cut").cut_by_limit());
        server.will(looks());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/official_clients.py");
        let mut command = tokio::process::Command::new(&python);
        let run = command.arg(script).arg(client).arg(server.url()).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_mins(1), run).await.expect("the client hangs").unwrap();
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{client}: {said}{complaint}");
        assert_eq!(said.trim(), "understood", "{client}");
    }
}

/// A virtual environment beside the build, made once.
pub(crate) async fn python_with_clients() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official-clients");
    let python = place.join("bin/python");
    let is_ready = run(&python, &["-c", &format!("import {}", MODULES.join(","))]).await;
    if !is_ready {
        let place = place.to_str().unwrap();
        assert!(run(Path::new("python3"), &["-m", "venv", place]).await, "python3 with venv is needed");
        let install = [&["-m", "pip", "install", "--quiet"], &RELEASES[..]].concat();
        assert!(run(&python, &install).await, "pip cannot install {RELEASES:?}");
    }
    python
}

async fn run(program: &Path, arguments: &[&str]) -> bool {
    let mut command = tokio::process::Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).status();
    let status = tokio::time::timeout(Duration::from_mins(5), status).await.expect("takes too long");
    status.is_ok_and(|status| status.success())
}
