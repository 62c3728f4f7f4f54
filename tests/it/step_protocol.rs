//! The step socket as another program would use it, and as one that means no good would.

use std::os::unix::fs::FileTypeExt;

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

/// A task whose agent program never speaks, so that the test can: the first one is the one that is heard.
async fn with_a_silent_agent(model: &ModelServer) -> (Atelier, String) {
    model.will(Reply::text("").tool_call("run_command", json!({"command": "sleep 15"})));
    let settings = Settings::new().model("openai", &model.url()).set("agent.command", vec!["sleep", "1d"]);
    let atelier = Atelier::start_with(settings).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Hold.", &[]).await.id;
    let socket = atelier.data_dir().join(format!("tasks/{id}/run/step.sock"));
    atelier.task(&id).wait_until("the socket", |_| socket.exists()).await;
    let (status, reply) = step(&atelier, &id, &start(&id)).await;
    assert_eq!(status, 200, "{reply}");
    (atelier, id)
}

fn start(id: &str) -> Value {
    json!({"task_id": id, "seq": 0, "payload": {"event": "start", "task": {"task_id": id, "instruction": "x"}}})
}

async fn step(atelier: &Atelier, id: &str, body: &Value) -> (u16, String) {
    let socket = atelier.data_dir().join(format!("tasks/{id}/run/step.sock"));
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
    let response = client.post("http://task/step").json(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_repeated_request_gets_the_stored_reply_and_costs_nothing() {
    let model = ModelServer::start().await;
    let (atelier, id) = with_a_silent_agent(&model).await;

    let (status, reply) = step(&atelier, &id, &start(&id)).await;

    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&reply).unwrap()["arguments"]["command"], "sleep 15");
    assert_eq!(model.received().len(), 1);
    atelier.task(&id).cancel().await;
    atelier.task(&id).ended().await;
}

#[tokio::test]
async fn r30_what_does_not_fit_is_refused_and_changes_nothing() {
    let model = ModelServer::start().await;
    let (atelier, id) = with_a_silent_agent(&model).await;
    let result = json!({"event": "tool_result", "name": "run_command", "arguments": {}, "result": {}});
    let before = atelier.task(&id).now().await;
    for (body, expected) in [
        (json!({"task_id": "20261120_aaaaaaaaaaaa", "seq": 1, "payload": result}), 400),
        (json!({"task_id": id, "seq": 7, "payload": result}), 409),
        (
            json!({"task_id": id, "payload": {"event": "tool_result", "name": "other", "arguments": {}, "result": {}}}),
            409,
        ),
        (json!({"task_id": id, "payload": {"event": "no_such_event"}}), 422),
        (json!({"model": "x", "url": "http://evil"}), 422),
        (json!({"task_id": id, "seq": 1, "payload": result, "padding": "x".repeat(5 << 20)}), 413),
    ] {
        let (status, text) = step(&atelier, &id, &body).await;
        assert_eq!(status, expected, "{text}");
    }
    assert_eq!(atelier.task(&id).now().await, before);
    assert_eq!(model.received().len(), 1);
    atelier.task(&id).cancel().await;
    atelier.task(&id).ended().await;
}

#[tokio::test]
async fn several_tool_calls_of_one_answer_are_run_one_by_one_and_all_answered() {
    let model = ModelServer::start().await;
    let calls = Reply::text("Both.")
        .tool_call("run_command", json!({"command": "echo one"}))
        .tool_call("no_such_tool", json!({}))
        .tool_call("run_command", json!({"command": "echo three"}));
    model.will(calls);
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("anthropic", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;

    let ended = task.completed().await;

    let results = task.tool_results().await;
    assert_eq!((&results[0]["stdout"], &results[2]["stdout"]), (&json!("one\n"), &json!("three\n")));
    assert_eq!(results[1]["status"], "failure");
    assert_eq!(ended["steps"], 2);
    // The model server refuses a question in which a call is not answered.
    assert_eq!(model.received().len(), 2);
    let prompt = task.log("prompt.txt").await;
    assert!(prompt.contains("echo three") && prompt.contains("no_such_tool"), "{prompt}");
    assert!(task.log("llm_response.txt").await.contains("Done."));
    let transcript = task.log(&format!("finetuning_data/{}.jsonl", task.id)).await;
    assert_eq!(transcript.lines().count(), 4);
    assert!(task.log("agent.log").await.contains("no_such_tool"));
}

#[tokio::test]
async fn limits_stop_the_model_and_keep_the_work() {
    let model = ModelServer::start().await;
    for _ in 0..3 {
        model.will(Reply::text("").tool_call("run_command", json!({"command": "date +%N >> work"})).usage(1000, 0, 10));
    }
    let settings = Settings::new().model("openai", &model.url());
    let atelier = Atelier::start_with(settings).await;
    for (name, value, word) in [("max_steps", json!(1), "1 steps"), ("max_tokens", json!(1500), "tokens of 1500")] {
        let limits = json!({ name: value }).to_string();
        let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("limits", &limits)]).await;
        let ended = task.failed("budget_exceeded").await;
        assert!(ended["error"]["message"].as_str().unwrap().contains(word), "{ended}");
        assert_eq!(ended["diff"]["files"], 1, "{ended}");
    }
    assert_eq!(model.received().len(), 3);
}

#[tokio::test]
async fn a_model_that_refuses_ends_the_task_with_its_words_and_without_the_key() {
    let model = ModelServer::start().await;
    model.will(Reply::status(401, "Incorrect API key provided: sk-canary-7f3a9"));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;

    let ended = task.failed("llm_error").await;

    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("ATELIER_TEST_KEY"), "{message}");
    let folder = atelier.data_dir();
    let found = std::process::Command::new("grep").args(["-rla", "sk-canary-7f3a9"]).arg(&folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the key is on disk");
    assert!(!atelier.server_log().contains("sk-canary-7f3a9"));
}
