//! The server ends while tasks wait or run: killed, stopped, restarted with its machine. Nothing is lost, nothing is done
//! twice, nothing is left over.

mod agent_at_work;
mod before_the_agent;
mod collecting;
mod gate;
mod kill_loop;
mod machine;
mod stopped;

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Task, Zip},
    model_server::{ModelServer, Reply, Spoken},
};

/// An answer that runs a command.
fn run(command: &str) -> Spoken {
    Reply::text("").tool_call("run_command", json!({ "command": command }))
}

/// What people were told, in order.
async fn notes(task: &Task<'_>) -> Vec<String> {
    let events = task.events_of("note").await;
    events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn mentions(notes: &[String], words: &str) -> usize {
    notes.iter().filter(|note| note.contains(words)).count()
}

pub(crate) async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed().as_secs() < 60, "waited in vain for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn f01_what_waits_keeps_its_order_and_goes_on() {
    let model = ModelServer::start().await;
    model.will(Reply::hang());
    model.will(Reply::text("Done."));
    model.will(Reply::hang());
    let settings = Settings::new().model("openai", &model.url()).set("queue.max_running", 1);
    let mut atelier = Atelier::start_with(settings).await;
    let first = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    wait_for("the first question", || model.received().len() == 1).await;
    let mut waiting = Vec::new();
    for number in 0..50 {
        waiting.push(atelier.submit_zip(Zip::new().file("a", "a"), &format!("Wait {number}."), &[]).await.id);
    }

    atelier.kill_and_start_again().await;

    atelier.task(&first).completed().await;
    let started = std::time::Instant::now();
    atelier.task(&waiting[0]).wait_until("the first in the queue", |task| task["status"] == "running").await;
    assert!(started.elapsed().as_secs() < 10);
    let queued = atelier.get_json("/api/tasks?status=queued&limit=100").await;
    let ids: Vec<&Value> = queued["tasks"].as_array().unwrap().iter().rev().map(|task| &task["id"]).collect();
    assert_eq!(json!(ids), json!(waiting[1..]), "the queue, oldest first");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let atelier = Atelier::start().await;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["serve", "--data-dir"])
        .arg(atelier.data_dir())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another Atelier runs on"));
}

#[tokio::test]
async fn without_docker_tasks_are_taken_and_wait_with_the_reason() {
    let settings = Settings::new().environment("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    let waiting = task.wait_until("the reason", |task| task["queue"]["reason"] == "docker_unavailable").await;
    assert_eq!(waiting["status"], "queued");
    assert!(waiting["queue"]["message"].as_str().unwrap().contains("atelier doctor"), "{waiting}");
    assert_eq!(atelier.get("/healthz").await.status(), 200);
    assert_eq!(atelier.get("/readyz").await.status(), 503);
    assert!(atelier.server_log().contains("/nowhere/docker.sock"), "the log names the cause");
    assert!(task.cancel().await.status().is_success());
    assert_eq!(task.ended().await["status"], "cancelled");
}
