//! Checks of a repository: the model is held to them, and how they stand is shown.

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply, Spoken},
};

const AGENTS: &str = "# Rules\n\n## Checks\n\n```sh\ntest -s a\n```\n";

fn runs(command: &str) -> Spoken {
    Reply::text("").tool_call("run_command", json!({ "command": command }))
}

fn edits(content: &str) -> Spoken {
    Reply::text("").tool_call("edit_file", json!({"file_path": "a", "new_content": content}))
}

fn last_message(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    messages.last().unwrap()["content"].as_str().unwrap().to_owned()
}

/// What the agent says of each.
fn claims(task: &Value) -> Value {
    let checks = task["checks"].as_array().unwrap().iter();
    checks.map(|check| json!({"command": check["command"], "claimed": check["claimed"]})).collect()
}

#[tokio::test]
async fn checks_that_did_not_run_after_the_last_change_send_the_model_back_once() {
    let model = ModelServer::start().await;
    model.will(runs("test -s a"));
    model.will(edits("new\n"));
    model.will(Reply::text("Done."));
    model.will(runs("test -s a && echo fine"));
    model.will(Reply::text("Done and checked."));
    let settings =
        Settings::new().model("openai", &model.url()).set("checks.commands", vec!["grep -q old a".to_owned()]);
    let atelier = Atelier::start_with(settings).await;
    let zip = Zip::new().file("a", "old\n").file("AGENTS.md", AGENTS);
    let task = atelier.submit_zip(zip, "Make it new.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["summary"], "Done and checked.");
    // The second is not insisted upon for ever.
    assert_eq!(
        claims(&ended),
        json!([
            {"command": "test -s a", "claimed": {"status": "passed", "exit_code": 0}},
            {"command": "grep -q old a", "claimed": {"status": "not_run", "exit_code": null}},
        ])
    );
    let received = model.received();
    assert_eq!(received.len(), 5);
    let first = received[0].body["messages"][1]["content"].as_str().unwrap();
    assert!(first.contains("test -s a\ngrep -q old a\n</checks>"), "{first}");
    let told = last_message(&received[3].body);
    assert!(told.contains("`test -s a`: not run since the last change"), "{told}");
    assert_eq!(task.events_of("sent_back").await.len(), 1);
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    for words in ["the agent claims: passed", "the agent claims: not run", "1 passed, 1 not run"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn a_task_that_changes_nothing_is_not_asked_for_checks_and_a_failing_one_is_shown() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    model.will(Reply::text("Nothing to do."));
    let zip = || Zip::new().file("a", "old\n").file("AGENTS.md", AGENTS);
    let nothing = atelier.submit_zip(zip(), "Is it fine?", &[]).await.completed().await;
    assert_eq!((&nothing["steps"], &nothing["checks"][0]["status"]), (&json!(1), &json!("not_run")));

    model.will(runs(": > a"));
    model.will(Reply::text("Emptied."));
    model.will(runs("test -s a"));
    model.will(Reply::text("Emptied; the check fails, since it wants a text."));
    let task = atelier.submit_zip(zip(), "Empty it.", &[]).await;
    let failing = task.completed().await;
    assert_eq!(claims(&failing), json!([{"command": "test -s a", "claimed": {"status": "failed", "exit_code": 1}}]));
}
