//! Killed while the agent works: its container goes on, asks until a server answers, and nothing happens twice.

use serde_json::json;

use super::{mentions, notes, run, wait_for};
use crate::{
    harness::{Atelier, Settings, Zip, containers_of},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn f07_a_question_left_open_is_asked_again_and_no_other() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace"));
    model.will(Reply::hang());
    model.will(run("echo two >> trace"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\necho installed > /opt/tool\n";
    let id = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Run.", &[]).await.id;
    wait_for("the second question", || model.received().len() == 2).await;
    let container = containers_of(atelier.instance());

    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    wait_for("the same question", || model.received().len() >= 3).await;
    assert_eq!(containers_of(atelier.instance()), container, "the same container");
    let ended = task.completed().await;
    let asked = model.received();
    assert_eq!(asked.len(), 4, "one question came twice");
    assert_eq!(asked[1].body["messages"], asked[2].body["messages"]);
    assert_eq!(ended["steps"], 3);
    assert!(String::from_utf8(task.patch().await).unwrap().contains("@@ -0,0 +1,2 @@\n+one\n+two\n"));
    let notes = notes(&task).await;
    assert_eq!(mentions(&notes, "goes on in its container"), 1, "{notes:?}");
    let prompt = task.log("prompt.txt").await;
    assert_eq!(prompt.matches("echo one").count(), 1, "{prompt}");
}

#[tokio::test]
async fn f08_a_call_that_was_handed_out_is_run_once_however_often_the_server_ends() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace; sleep 3; echo two >> trace"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("anthropic", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let trace = atelier.data_dir().join(format!("tasks/{id}/code/trace"));
    wait_for("the command", || trace.exists()).await;

    for _ in 0..4 {
        atelier.kill_and_start_again().await;
    }
    // The command may end while nobody listens.
    atelier.kill();
    wait_for("its end", || std::fs::read(&trace).is_ok_and(|trace| trace == b"one\ntwo\n")).await;
    atelier.start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(model.received().len(), 2);
    assert!(String::from_utf8(task.patch().await).unwrap().contains("@@ -0,0 +1,2 @@\n+one\n+two\n"));
    assert!(mentions(&notes(&task).await, "goes on in its container") >= 1);
}

#[tokio::test]
async fn f08_the_clock_of_a_task_goes_on_and_stands_while_no_server_runs() {
    let model = ModelServer::start().await;
    model.will(Reply::hang());
    model.will(Reply::hang());
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let limits = json!({ "task_timeout_s": 4 }).to_string();
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[("limits", &limits)]).await.id;
    wait_for("the question", || model.received().len() == 1).await;
    atelier.kill();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    atelier.start_again().await;
    wait_for("the question again", || model.received().len() == 2).await;
    atelier.task(&id).failed("timeout").await;
}

#[tokio::test]
async fn f25_a_cancellation_that_was_accepted_survives_a_kill() {
    let model = ModelServer::start().await;
    model.will(run("echo kept > kept; sleep 30"));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let written = atelier.data_dir().join(format!("tasks/{id}/code/kept"));
    wait_for("the command", || written.exists()).await;

    assert!(atelier.task(&id).cancel().await.status().is_success());
    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    assert_eq!(task.ended().await["status"], "cancelled");
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+kept"), "the work so far is kept");
    assert_eq!(task.events_of("status").await.len(), 3, "queued, running, cancelled");
}
