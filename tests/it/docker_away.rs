//! The Docker daemon is stopped, killed or frozen under a running server.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    harness::{AfterStop, Atelier, DockerDoor, SMALL_IMAGE, SecondDocker, Settings, Zip},
    model_server::{ModelServer, Reply},
};

/// A server on a daemon of its own, whose agent runs one command and is done.
async fn running(after_stop: AfterStop, command: &str) -> (SecondDocker, ModelServer, Atelier) {
    let docker = SecondDocker::start(after_stop).await;
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    for _ in 0..3 {
        model.will(Reply::text("Done."));
    }
    let settings = Settings::new()
        .model("openai", &model.url())
        .set("sandbox.image", SMALL_IMAGE)
        .set("queue.max_running", 1)
        .environment("DOCKER_HOST", &docker.host());
    let atelier = Atelier::start_with(settings).await;
    (docker, model, atelier)
}

async fn submit(atelier: &Atelier) -> String {
    atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id
}

/// Waits until the server says that it can, or cannot, work.
async fn is_ready(atelier: &Atelier, expected: bool) {
    let asked = Instant::now();
    while (atelier.get("/readyz").await.status() == 200) != expected {
        assert!(asked.elapsed() < Duration::from_secs(40), "readyz never says {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn f12_docker_restarts_and_its_containers_end() {
    let (mut docker, _model, atelier) = running(AfterStop::TheyEnd, "echo kept > kept; sleep 60").await;
    let running = submit(&atelier).await;
    let written = atelier.data_dir().join(format!("tasks/{running}/code/kept"));
    atelier.task(&running).wait_until("the file", |_| written.exists()).await;

    docker.stop().await;
    is_ready(&atelier, false).await;
    let waiting = submit(&atelier).await;
    let page = atelier.request(reqwest::Method::GET, "/").header("accept", "text/html").send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Docker does not answer"), "the pages say so");
    docker.start_again().await;

    let ended = atelier.task(&running).failed("docker_restart").await;
    assert_eq!(ended["stage"], "agent", "the stage it broke off in");
    let patch = String::from_utf8(atelier.task(&running).patch().await).unwrap();
    assert!(patch.contains("+kept"), "the work so far is kept: {patch}");
    is_ready(&atelier, true).await;
    atelier.task(&waiting).completed().await;
}

#[tokio::test]
async fn f13_with_live_restore_a_task_outlives_a_restart_of_docker() {
    let go_on = "until [ -e /app/output/go ]; do sleep 0.1; done; echo survived";
    let (mut docker, _model, atelier) = running(AfterStop::TheyLive, go_on).await;
    let id = submit(&atelier).await;
    let task = atelier.task(&id);
    task.wait_until("the command", |task| task["steps"] == 1).await;

    docker.stop().await;
    is_ready(&atelier, false).await;
    docker.start_again().await;
    std::fs::write(atelier.data_dir().join(format!("tasks/{id}/output/go")), "").unwrap();

    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "survived\n");
}

#[tokio::test]
async fn f14_docker_is_killed_and_comes_back() {
    let (mut docker, _model, atelier) = running(AfterStop::TheyEnd, "sleep 60").await;
    let running = submit(&atelier).await;
    atelier.task(&running).wait_until("the command", |task| task["steps"] == 1).await;

    docker.kill().await;
    is_ready(&atelier, false).await;
    let waiting = submit(&atelier).await;
    docker.start_again().await;

    // The daemon ends what outlived it: without live-restore it does not take containers back.
    atelier.task(&running).failed("docker_restart").await;
    atelier.task(&waiting).completed().await;
    let ours = docker.ask(&["ps", "--all", "--quiet", "--filter", "label=io.atelier.instance"]);
    assert_eq!(ours, "", "no container is left");
}

#[tokio::test]
async fn f15_a_frozen_docker_holds_up_tasks_and_nothing_else() {
    let (docker, _model, atelier) = running(AfterStop::TheyEnd, "true").await;
    is_ready(&atelier, true).await;
    docker.freeze();
    is_ready(&atelier, false).await;
    let id = submit(&atelier).await;
    let waiting = atelier.task(&id).wait_until("the reason", |task| task["queue"]["reason"] != "next").await;
    assert_eq!(waiting["queue"]["reason"], "docker_unavailable");
    for _ in 0..20 {
        for path in ["/", "/new", &format!("/tasks/{id}"), "/readyz"] {
            let asked = Instant::now();
            atelier.get(path).await;
            assert!(asked.elapsed() < Duration::from_millis(500), "{path} took {:?}", asked.elapsed());
        }
    }
    docker.thaw();
    atelier.task(&id).completed().await;
}

#[tokio::test]
async fn f12_a_task_whose_container_cannot_be_made_waits_for_docker() {
    let door = DockerDoor::shut_at("/containers/create");
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let settings = Settings::new().model("openai", &model.url()).environment("DOCKER_HOST", &door.host());
    let atelier = Atelier::start_with(settings).await;
    let id = submit(&atelier).await;
    let task = atelier.task(&id);
    task.reaches("setup").await;
    is_ready(&atelier, false).await;
    assert!(door.is_shut());
    assert_eq!(task.now().await["status"], "running");

    door.open();

    task.completed().await;
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("Docker does not answer"));
}
