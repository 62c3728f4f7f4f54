//! The server ends while tasks wait or run: killed, stopped, or without Docker beneath it.

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, containers_of, networks_of},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn after_a_kill_the_waiting_go_on_and_the_running_end_with_a_reason() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "sleep 15"})));
    model.will(Reply::text("Done."));
    let settings = Settings::new().model("openai", &model.url()).set("queue.max_running", 1);
    let mut atelier = Atelier::start_with(settings).await;
    let running = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\n"), "Run.", &[]).await.id;
    atelier.task(&running).wait_until("the first command", |task| task["steps"] == 1).await;
    let waiting = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await.id;
    assert_eq!(containers_of(atelier.instance()).len(), 1);

    atelier.kill_and_start_again().await;

    let ended = atelier.task(&running).failed("server_restarted").await;
    assert_eq!(ended["stage"], "agent", "the stage it broke off in");
    atelier.task(&waiting).completed().await;
    assert!(containers_of(atelier.instance()).is_empty() && networks_of(atelier.instance()).is_empty());
}

#[tokio::test]
async fn a_stop_keeps_the_work_so_far() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "echo kept > kept; sleep 15"})));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let written = atelier.data_dir().join(format!("tasks/{id}/code/kept"));
    atelier.task(&id).wait_until("the file", |_| written.exists()).await;

    atelier.stop_and_start_again().await;

    atelier.task(&id).failed("server_restarted").await;
    let patch = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    assert!(patch.contains("+kept"), "{patch}");
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
