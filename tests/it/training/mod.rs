//! Training data: what people accepted, in the published format, without secrets; and tasks played again.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Task, Zip, leap_year},
    model_server::{ModelServer, Reply},
    official_clients::python_with_clients,
};

const EXPORT: &str = "/api/export/finetuning.jsonl";
const KEY: &str = "sk-canary-7f3a9";

async fn rate(atelier: &Atelier, task: &Task<'_>, rating: &str) {
    let answer = atelier.post_json(&format!("/api/tasks/{}/feedback", task.id), &json!({ "rating": rating })).await;
    assert_eq!(answer.status(), 200);
}

async fn lines(atelier: &Atelier, query: &str) -> Vec<Value> {
    let text = atelier.get(&format!("{EXPORT}{query}")).await.text().await.unwrap();
    assert!(!text.contains(KEY));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A token of a form that is known, and a value that only looks like one. Made here, so that nobody finds them in this file.
fn github_token() -> String {
    format!("ghp_{}", "Zk3vQ9xLr7TbW2mNc8YpH4sDf6GjK1aEuRi5")
}

fn suspicious() -> String {
    format!("client_secret = \"{}\"", "Zk3vQ9xLr7TbW2mNc8YpH4sDf6")
}

/// Two tools in one answer, a failure, a secret in the repository, the server's own key.
fn plan_a_whole_task(model: &ModelServer) {
    model.will(
        Reply::text(&format!("I look. {KEY}"))
            .tool_call("run_command", json!({"command": "cat token.txt; ls"}))
            .tool_call("read_file", json!({"file_path": "greeting.txt"})),
    );
    model.will(
        Reply::text("")
            .tool_call("edit_file", json!({"file_path": "greeting.txt", "old_text": "not there", "new_text": "x"})),
    );
    model.will(
        Reply::text("")
            .tool_call("edit_file", json!({"file_path": "greeting.txt", "old_text": "Helo", "new_text": "Hello"})),
    );
    model.will(Reply::text("The greeting was misspelt."));
}

fn repository() -> Zip {
    Zip::new().file("greeting.txt", "Helo, world\n").file("token.txt", &format!("{}\n", github_token()))
}

#[tokio::test]
async fn accepted_tasks_become_lines_of_the_published_format_without_secrets() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url()).set("queue.max_running", 1)).await;
    plan_a_whole_task(&model);
    let accepted = atelier.submit_zip(repository(), "Mend the greeting.", &[]).await;
    accepted.completed().await;
    model.will(Reply::text("Nothing to do."));
    let unrated = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    unrated.completed().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "cat settings.toml"})));
    model.will(Reply::text("Seen."));
    let settings = Zip::new().file("settings.toml", &suspicious());
    let left_out = atelier.submit_zip(settings, "Look.", &[]).await;
    left_out.completed().await;
    model.will(Reply::status(400, "no"));
    let failed = atelier.submit_zip(Zip::new().file("a", "a"), "Fail.", &[]).await;
    failed.failed("llm_error").await;
    assert_eq!(lines(&atelier, "").await, [] as [Value; 0], "nobody has accepted anything");
    for task in [&accepted, &left_out, &failed] {
        rate(&atelier, task, "up").await;
    }

    let exported = lines(&atelier, "").await;

    let [example] = exported.as_slice() else { panic!("{exported:#?}") };
    let roles: Vec<&str> = messages(example).iter().map(|message| message["role"].as_str().unwrap()).collect();
    let (assistant, tool) = ("assistant", "tool");
    assert_eq!(roles, ["system", "user", assistant, tool, tool, assistant, tool, assistant, tool, assistant]);
    let weights: Vec<&Value> =
        messages(example).iter().filter(|message| message["role"] == assistant).map(|said| &said["weight"]).collect();
    assert_eq!(weights, [&Value::Null, &json!(0), &Value::Null, &Value::Null], "only the edit that failed");
    let text = example.to_string();
    assert!(text.contains("[removed: GitHub token]") && text.contains("I look. ***"), "{text}");
    assert!(!text.contains(&github_token()[4..]));
    assert_eq!(example["tools"].as_array().unwrap().len(), 5);

    let report = atelier.get_json("/api/export/report").await;
    assert_eq!(report["exported"], 1, "{report:#}");
    assert_eq!(report["left_out"][0]["task"], left_out.id.as_str());
    let reason = report["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("still holds a random value") && !reason.contains("Zk3v"), "{reason}");

    let any = lines(&atelier, "?rating=any").await;
    assert_eq!(any.len(), 2);
    assert_eq!(messages(&any[1]).len(), 3);
    assert_eq!(lines(&atelier, "?rating=any&model=mock/other").await.len(), 0);
    assert_fits_the_schema(&any);
    assert_official_types_fit(&any).await;

    let raw = lines(&atelier, "?format=raw").await;
    assert_eq!(raw.len(), 5, "a line a request of the agent: {raw:#?}");
    assert!(raw.iter().all(|line| line["task_id"] == accepted.id.as_str() && line["mcp_reply"].is_object()));
    assert!(raw[1].to_string().contains("[removed: GitHub token]"));
    assert_eq!(atelier.get(&format!("{EXPORT}?format=xml")).await.status(), 400);

    // The command line asks the server that runs.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.jsonl");
    let data_dir = atelier.data_dir();
    let arguments = ["export", "--data-dir", data_dir.to_str().unwrap(), "--output", file.to_str().unwrap()];
    let said = run(folder.path(), &arguments).await;
    assert!(said.contains("1 tasks exported, 1 left out") && said.contains(&left_out.id), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), atelier.get(EXPORT).await.text().await.unwrap());
}

fn messages(example: &Value) -> &Vec<Value> {
    example["messages"].as_array().unwrap()
}

fn assert_fits_the_schema(examples: &[Value]) {
    let schema: Value = serde_json::from_str(include_str!("chat-finetuning.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for example in examples {
        let errors: Vec<String> = schema.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    // A check that can fail.
    let mut wrong = examples[0].clone();
    wrong["messages"][3]["tool_call_id"] = Value::Null;
    assert!(!schema.is_valid(&wrong));
}

async fn assert_official_types_fit(examples: &[Value]) {
    let python = python_with_clients().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/training/official_types.py");
    let text = examples.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut reading = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    reading.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reading.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "understood", "{complaint}");
}

#[tokio::test]
async fn a_recorded_task_plays_again_without_a_key() {
    let model = ModelServer::start().await;
    plan_a_whole_task(&model);
    let recording = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let recorded = recording.submit_zip(repository(), "Mend the greeting.", &[]).await;
    recorded.completed().await;
    let script = recording.get(&format!("/api/tasks/{}/script", recorded.id)).await.text().await.unwrap();
    let scripts = tempfile::tempdir().unwrap();
    std::fs::write(scripts.path().join("recorded.json"), script).unwrap();

    let settings = Settings::new()
        .set("llm.providers.scripted.scripts", scripts.path().display().to_string())
        .set("agent.model", "scripted/recorded");
    let playing = Atelier::start_with(settings).await;
    let played = playing.submit_zip(repository(), "Mend the greeting.", &[]).await;
    let ended = played.completed().await;

    assert_eq!(ended["summary"], "The greeting was misspelt.");
    let calls = async |task: &Task<'_>| -> Vec<(Value, Value)> {
        let called = task.events_of("tool_called").await;
        called.into_iter().map(|event| (event["name"].clone(), event["arguments"].clone())).collect()
    };
    assert_eq!(calls(&played).await, calls(&recorded).await);
    assert_eq!(calls(&played).await.len(), 4);
    let patch = played.patch().await;
    assert!(!patch.is_empty());
    assert_eq!(patch, recorded.patch().await);
    assert_eq!(model.received().len(), 4, "the play asked nobody");
}

#[tokio::test]
async fn training_data_is_merged_by_itself() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Nothing to do."));
    let settings = Settings::new().model("openai", &model.url()).set("export.every_hours", 0.0003);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.completed().await;
    let file = atelier.data_dir().join("training/finetuning.jsonl");
    let merged = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("the first merge", || file.exists()).await;
    assert_eq!(merged(), "", "nobody has accepted it");

    rate(&atelier, &task, "up").await;

    wait_until("the next merge", || merged().lines().count() == 1).await;
    assert_eq!(merged(), atelier.get(EXPORT).await.text().await.unwrap());
    let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert!(left.len() <= 2, "the file, and perhaps the next one on its way: {left:?}");
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), waiting).await.is_ok(), "waited in vain for {what}");
}

#[tokio::test]
async fn export_needs_no_server() {
    let folder = tempfile::Builder::new().prefix("at").tempdir_in("/tmp").unwrap();
    let source = leap_year().display().to_string();
    let task = ["run", "--data-dir", "d", "--repo", &source, "--task", "Mend.", "--model", "scripted/leap-year"];
    run(folder.path(), &task).await;

    let said = run(folder.path(), &["export", "--data-dir", "d", "--all", "--output", "all.jsonl"]).await;
    assert!(said.contains("1 tasks exported, 0 left out"), "{said}");
    let text = std::fs::read_to_string(folder.path().join("all.jsonl")).unwrap();
    let examples: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_fits_the_schema(&examples);

    let said = run(folder.path(), &["export", "--data-dir", "d"]).await;
    assert!(said.contains("0 tasks exported") && said.contains("--all"), "{said}");
    let id = std::fs::read_dir(folder.path().join("d/logs")).unwrap().next().unwrap().unwrap().file_name();
    let id = id.to_str().unwrap();
    run(folder.path(), &["export", "--data-dir", "d", "--format", "script", id, "--output", "play.json"]).await;
    let play: Value = serde_json::from_slice(&std::fs::read(folder.path().join("play.json")).unwrap()).unwrap();
    assert!(play["steps"].as_array().unwrap().len() > 3, "{play:#}");
}

/// Runs the program and returns what it said on stderr; it must succeed.
async fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in ["DOCKER_HOST", "ATELIER_LOG", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "DEEPSEEK_API_KEY"] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}
