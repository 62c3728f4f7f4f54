//! Calls to models, seen from outside: whole tasks against providers that are slow, broken, busy, or not who they should be.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::{
    harness::{Atelier, Settings, Task, Zip},
    model_server::{ModelServer, Pieces, Reply},
};

/// What the harness calls the key, and the key.
const VARIABLE: &str = "ATELIER_TEST_KEY";
const KEY: &str = "sk-canary-7f3a9";

/// Asked once and not waited for long.
fn impatient(kind: &str, url: &str) -> Settings {
    Settings::new()
        .model(kind, url)
        .set("llm.max_tries", 1)
        .set("llm.idle_timeout_s", 1)
        .set("llm.first_byte_timeout_s", 1)
}

async fn submitted(atelier: &Atelier) -> Task<'_> {
    atelier.submit_zip(Zip::new().file("a", "old\n"), "Go.", &[]).await
}

fn message(ended: &Value) -> &str {
    ended["error"]["message"].as_str().unwrap()
}

async fn texts(task: &Task<'_>, kind: &str) -> Vec<String> {
    task.events_of(kind).await.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn pinging() -> Reply {
    let pings =
        Pieces { then: ": ping\n\n".to_owned(), times: usize::MAX, every: Duration::from_millis(100), ..begun() };
    pings.into()
}

fn begun() -> Pieces {
    Pieces::once("text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"I will\"}}]}\n\n")
}

#[tokio::test]
async fn r62_a_redirect_ends_the_task_and_the_other_host_hears_nothing() {
    let (model, canary) = (ModelServer::start().await, ModelServer::start().await);
    let atelier = Atelier::start_with(impatient("anthropic", &model.url())).await;
    model.will(Reply::redirect(&format!("{}/v1/messages", canary.url())));

    let ended = submitted(&atelier).await.failed("llm_error").await;

    assert!(message(&ended).starts_with("redirect refused"), "{ended:#}");
    assert!(canary.received().is_empty());
}

#[tokio::test]
async fn r62_proxies_of_the_environment_are_not_asked() {
    let (model, canary) = (ModelServer::start().await, ModelServer::start().await);
    let mut settings = impatient("openai", &model.url());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        settings = settings.environment(name, &canary.url());
    }
    let atelier = Atelier::start_with(settings).await;
    model.will(Reply::text("Done."));

    submitted(&atelier).await.completed().await;

    assert!(canary.received().is_empty());
}

#[tokio::test]
async fn r62_a_host_that_cannot_prove_its_name_gets_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let recipe =
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost 2>/dev/null";
    let made = std::process::Command::new("sh").args(["-c", recipe]).current_dir(folder.path()).status().unwrap();
    assert!(made.success());
    let mut impostor = tokio::process::Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-key", "key", "-cert", "cert"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(impostor.stdout.take().unwrap()).lines();
    let port = loop {
        let line = said.next_line().await.unwrap().expect("the impostor listens");
        if let Some((_, port)) = line.strip_prefix("ACCEPT ").and_then(|address| address.rsplit_once(':')) {
            break port.to_owned();
        }
    };
    let atelier = Atelier::start_with(impatient("anthropic", &format!("https://127.0.0.1:{port}/"))).await;

    let ended = submitted(&atelier).await.failed("llm_unavailable").await;

    assert!(message(&ended).contains("out of reach") && message(&ended).contains("certificate"), "{ended:#}");
    impostor.start_kill().unwrap();
    let mut heard = String::new();
    said.into_inner().read_to_string(&mut heard).await.unwrap();
    assert!(!heard.contains(KEY) && !heard.contains("POST"), "{heard}");
}

#[tokio::test]
async fn f17_a_stream_of_pings_ends_the_task_and_its_words_are_not_acted_upon() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(impatient("openai", &model.url())).await;
    model.will(pinging());

    let task = submitted(&atelier).await;
    let ended = task.failed("llm_unavailable").await;

    assert!(message(&ended).contains("idle_timeout_s"), "{ended:#}");
    assert!(task.events_of("tool_called").await.is_empty());
}

#[tokio::test]
async fn f17_a_critic_that_fails_in_any_way_costs_no_work() {
    let model = ModelServer::start().await;
    let settings = impatient("openai", &model.url()).set("agent.critique_model", "mock/critic");
    let atelier = Atelier::start_with(settings).await;
    for (fault, reason) in [
        (pinging(), "idle_timeout_s"),
        (begun().into(), "broke off"),
        (Reply::hang(), "first_byte_timeout_s"),
        (Reply::body("application/json", "{\"choices\":["), "broken JSON"),
        (Reply::body("text/html", "<html>"), "an HTML page"),
    ] {
        let edit = json!({"file_path": "a", "new_content": "new\n"});
        model.will(Reply::text("").tool_call("edit_file", edit));
        model.will(Reply::text("Done."));
        model.will(fault);

        let task = submitted(&atelier).await;
        let ended = task.completed().await;

        assert_eq!((&ended["diff"]["files"], &ended["summary"]), (&json!(1), &json!("Done.")), "{ended:#}");
        let warnings = texts(&task, "warning").await;
        assert!(
            matches!(&warnings[..], [only] if only.contains("not reviewed") && only.contains(reason)),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn f17_a_summary_that_fails_in_any_way_ends_no_task() {
    let model = ModelServer::start().await;
    let settings = impatient("openai", &model.url()).set("llm.providers.mock.context_tokens", 1000);
    let atelier = Atelier::start_with(settings).await;
    for (fault, reason) in [
        (pinging(), "idle_timeout_s"),
        (Reply::status(503, "busy"), "busy"),
        (Reply::body("application/json", "{\"choices\":["), "broken JSON"),
    ] {
        for (number, tokens) in [(1, 100), (2, 100), (3, 100), (4, 100), (5, 100), (6, 800)] {
            let look = json!({"command": format!("echo {number}; seq 1 2000")});
            model.will(Reply::text("").tool_call("run_command", look).usage(tokens, 0, 1));
        }
        model.will(fault);
        model.will(Reply::text("Done.").usage(10, 0, 1));

        let task = submitted(&atelier).await;
        task.completed().await;

        let warnings = texts(&task, "warning").await;
        assert!(
            matches!(&warnings[..], [only] if only.contains("without a summary") && only.contains(reason)),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn f16_tasks_wait_while_their_provider_refuses_the_key_and_others_go_on() {
    let (model, other) = (ModelServer::start().await, ModelServer::start().await);
    let settings = impatient("anthropic", &model.url())
        .set("llm.refused_pause_s", 1)
        .set("llm.providers.other.kind", "openai")
        .set("llm.providers.other.base_url", other.url())
        .set("llm.providers.other.api_key_env", VARIABLE);
    let atelier = Atelier::start_with(settings).await;
    for _ in 0..3 {
        model.will(Reply::status(401, "invalid x-api-key"));
    }
    let ended = submitted(&atelier).await.failed("llm_error").await;
    assert!(message(&ended).contains(VARIABLE) && message(&ended).contains("invalid x-api-key"), "{ended:#}");
    let log = atelier.server_log();
    assert!(log.contains("ERROR") && log.contains(VARIABLE), "{log}");

    let waits = submitted(&atelier).await;
    other.will(Reply::text("Done."));
    atelier.submit_zip(Zip::new().file("a", "a\n"), "Go.", &[("model", "other/m")]).await.completed().await;
    let waiting = loop {
        let task = atelier.get_json(&format!("/api/tasks/{}", waits.id)).await;
        assert_eq!(task["status"], "queued");
        if task["queue"]["reason"] == "key_refused" {
            break task;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(waiting["queue"]["message"].as_str().unwrap().contains(VARIABLE), "{waiting:#}");
    let page = atelier.get("/").await.text().await.unwrap();
    assert!(page.contains("New tasks for models of mock wait"), "{page}");

    // The question that finds out, and the task's own.
    model.will(Reply::text("Yes."));
    model.will(Reply::text("Done."));
    waits.completed().await;
    let words: Vec<_> = model.received().iter().map(|request| request.body["max_tokens"] == 16).collect();
    assert_eq!(words, [false, true, true, true, false]);
}

#[tokio::test]
async fn a_task_that_waits_for_its_provider_says_why() {
    let model = ModelServer::start().await;
    let settings = Settings::new().model("openai", &model.url()).set("llm.providers.mock.max_concurrent", 1);
    let atelier = Atelier::start_with(settings).await;
    for _ in 0..2 {
        model.will(Reply::text("Done.").slowly(Duration::from_millis(300)));
    }
    let tasks = [submitted(&atelier).await, submitted(&atelier).await];
    let mut waits = Vec::new();
    for task in &tasks {
        task.completed().await;
        waits.extend(texts(task, "note").await.into_iter().filter(|note| note.starts_with("Waiting")));
    }
    assert_eq!(waits, ["Waiting for a free place at mock: 1 of 1 in use."]);
}

#[tokio::test]
async fn a_model_that_cannot_call_tools_does_the_work_all_the_same() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("ollama", &model.url())).await;
    let call = json!({"name": "edit_file", "arguments": {"file_path": "a", "new_content": "new\n"}});
    model.will(Reply::status(400, "registry.ollama.ai/library/test-model does not support tools"));
    model.will(Reply::text(&format!("I write it.\n```tool_call\n{call}\n```")));
    model.will(Reply::text("It is written."));

    let task = submitted(&atelier).await;
    let ended = task.completed().await;

    assert_eq!((&ended["summary"], &ended["diff"]["files"]), (&json!("It is written."), &json!(1)), "{ended:#}");
    assert_eq!((&ended["steps"], model.received().len()), (&json!(2), 3));
    let notes = texts(&task, "note").await;
    assert_eq!(notes.iter().filter(|note| note.contains("no tool calls of its own")).count(), 1, "{notes:?}");
}

#[tokio::test]
async fn another_model_goes_on_when_the_first_is_out_of_reach() {
    let model = ModelServer::start().await;
    let settings = impatient("openai", &model.url())
        .set("llm.max_tries", 2)
        .set("agent.fallback_model", "other/claude")
        .set("llm.providers.other.kind", "anthropic")
        .set("llm.providers.other.base_url", model.url())
        .set("llm.providers.other.api_key_env", VARIABLE)
        .set("llm.prices.mock/test-model.input", 1.0)
        .set("llm.prices.mock/test-model.output", 1.0)
        .set("llm.prices.other/claude.input", 2.0)
        .set("llm.prices.other/claude.output", 2.0);
    let mut atelier = Atelier::start_with(settings).await;
    let edit = json!({"file_path": "a", "new_content": "new\n"});
    model.will(Reply::text("").tool_call("edit_file", edit).usage(1_000_000, 0, 0));
    model.will(Reply::status(503, "overloaded").with_header("retry-after-ms", "10"));
    model.will(Reply::status(503, "overloaded"));
    model.will(Reply::text("").tool_call("run_command", json!({"command": "cat a"})).usage(500_000, 0, 0));
    model.will(Reply::hang());
    let id = submitted(&atelier).await.id;
    while model.received().len() < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    model.will(Reply::text("Done.").usage(500_000, 0, 0));
    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    let ended = task.completed().await;

    assert_eq!((&ended["steps"], &ended["usage"]["cost_usd"]), (&json!(3), &json!(3.0)), "{ended:#}");
    let asked: Vec<String> =
        model.received().iter().map(|request| request.body["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, ["test-model", "test-model", "test-model", "claude", "claude", "claude"], "also after a restart");
    assert!(model.received()[3].body.to_string().contains("new"), "the conversation goes with it");
    let warnings = texts(&task, "warning").await;
    assert!(warnings.last().unwrap().ends_with("other/claude goes on in place of mock/test-model."), "{warnings:?}");
}

#[tokio::test]
async fn a_refusal_is_not_taken_to_another_model() {
    let model = ModelServer::start().await;
    let settings = impatient("openai", &model.url())
        .set("agent.fallback_model", "other/claude")
        .set("llm.providers.other.kind", "anthropic")
        .set("llm.providers.other.base_url", model.url());
    let atelier = Atelier::start_with(settings).await;
    model.will(Reply::status(400, "this content is not allowed"));

    submitted(&atelier).await.failed("llm_error").await;

    assert_eq!(model.received().len(), 1);
}
