//! The Docker daemon is stopped, killed or frozen under a running server.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{AfterStop, Atelier, DockerDoor, SMALL_IMAGE, SecondDocker, Settings, Task, Zip},
    model_server::{ModelServer, Reply},
};

/// A server on a daemon of its own, whose agent runs one command and is done.
async fn running(after_stop: AfterStop, command: &str) -> (SecondDocker, ModelServer, Atelier) {
    let (docker, model, atelier) = server_on(after_stop).await;
    model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    for _ in 0..3 {
        model.will(Reply::text("Done."));
    }
    (docker, model, atelier)
}

/// A server on a daemon of its own.
async fn server_on(after_stop: AfterStop) -> (SecondDocker, ModelServer, Atelier) {
    let docker = SecondDocker::start(after_stop).await;
    let model = ModelServer::start().await;
    let settings = Settings::new()
        .model("openai", &model.url())
        .set("sandbox.image", SMALL_IMAGE)
        .set("queue.max_running", 2)
        .environment("DOCKER_HOST", &docker.host());
    let atelier = Atelier::start_with(settings).await;
    (docker, model, atelier)
}

async fn submit(atelier: &Atelier) -> String {
    atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id
}

async fn says(task: &Task<'_>, kind: &str, words: &str) {
    let events = task.events_of(kind).await;
    assert!(events.iter().any(|event| event["message"].as_str().unwrap().contains(words)), "{words}: {events:#?}");
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
async fn f12_docker_restarts_and_the_task_goes_on_in_a_new_container() {
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

    let task = atelier.task(&running);
    task.completed().await;
    let results = task.tool_results().await;
    assert!(results[0]["message"].as_str().unwrap().contains("Whether this call was made"), "{results:?}");
    let patch = String::from_utf8(task.patch().await).unwrap();
    assert!(patch.contains("+kept"), "the work so far is kept: {patch}");
    says(&task, "warning", "(docker_restart)").await;
    says(&task, "note", "Docker was restarted; the task goes on in a new container (attempt 2 of 3).").await;
    is_ready(&atelier, true).await;
    atelier.task(&waiting).completed().await;
}

#[tokio::test]
async fn f12_docker_restarts_during_setup_and_setup_begins_anew() {
    let (mut docker, _model, atelier) = running(AfterStop::TheyEnd, "cat set-up; ls /sys/class/net").await;
    // What the first run leaves must not be there in the second.
    let setup = "#!/bin/sh\nls >> set-up\necho begun\n[ -e /app/output/go ] || sleep 60\n";
    let zip = Zip::new().executable("setup.sh", setup);
    let id = atelier.submit_zip(zip, "Go.", &[]).await.id;
    let task = atelier.task(&id);
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    task.wait_until("setup", |_| std::fs::read_to_string(&log).is_ok_and(|log| log == "begun\n")).await;

    docker.stop().await;
    is_ready(&atelier, false).await;
    assert_eq!(task.now().await["status"], "running", "it waits");
    docker.start_again().await;
    let output = atelier.data_dir().join(format!("tasks/{id}/output"));
    task.wait_until("a new attempt", |_| output.exists() && log.with_file_name("setup.attempt-1.log").exists()).await;
    std::fs::write(output.join("go"), "").unwrap();

    task.completed().await;
    says(&task, "note", "Docker was restarted; the task begins anew (attempt 2 of 3).").await;
    assert_eq!(task.tool_results().await[0]["stdout"], "set-up\nsetup.sh\nlo\n");
    assert_eq!(docker.ask(&["network", "ls", "--quiet", "--filter", "label=io.atelier.instance"]), "");
}

#[tokio::test]
async fn f12_docker_restarts_again_and_again_and_the_task_is_given_up() {
    let (mut docker, model, atelier) = server_on(AfterStop::TheyEnd).await;
    for attempt in 1..=3 {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": format!("sleep 6{attempt}") })));
    }
    let id = submit(&atelier).await;
    let task = atelier.task(&id);
    for attempt in 1..=3 {
        task.wait_until("the command", |task| task["steps"] == attempt).await;
        docker.stop().await;
        docker.start_again().await;
    }
    let ended = task.failed("docker_restart").await;
    assert_eq!(ended["stage"], "agent", "the stage it broke off in");
    assert!(ended["error"]["message"].as_str().unwrap().contains("begun 3 times"), "{ended:#}");
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
    atelier.task(&running).completed().await;
    says(&atelier.task(&running), "warning", "(docker_restart)").await;
    atelier.task(&waiting).completed().await;
    let ours = docker.ask(&["ps", "--all", "--quiet", "--filter", "label=io.atelier.instance"]);
    assert_eq!(ours, "", "no container is left");
}

/// `$ATELIER_FREEZE_S` makes it longer: calls to Docker end after 30 s.
#[tokio::test]
async fn f15_a_frozen_docker_holds_up_tasks_and_nothing_else() {
    let freeze = Duration::from_secs(std::env::var("ATELIER_FREEZE_S").map_or(2, |seconds| seconds.parse().unwrap()));
    let go_on = "until [ -e /app/output/go ]; do sleep 0.1; done";
    let (docker, _model, atelier) = running(AfterStop::TheyEnd, go_on).await;
    let agent = submit(&atelier).await;
    atelier.task(&agent).wait_until("the command", |task| task["steps"] == 1).await;
    let setup = format!("#!/bin/sh\necho begun\n{go_on}\n");
    let setup = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await.id;
    let log = atelier.data_dir().join(format!("logs/{setup}/setup.log"));
    let has_begun = || std::fs::read_to_string(&log).is_ok_and(|log| log == "begun\n");
    atelier.task(&setup).wait_until("setup", |_| has_begun()).await;

    docker.freeze();
    let frozen = Instant::now();
    is_ready(&atelier, false).await;
    let id = submit(&atelier).await;
    let waiting = atelier.task(&id).wait_until("the reason", |task| task["queue"]["reason"] != "next").await;
    assert_eq!(waiting["queue"]["reason"], "docker_unavailable");
    let mut took = Vec::new();
    while took.len() < 100 || frozen.elapsed() < freeze {
        for path in ["/", "/new", &format!("/tasks/{id}"), &format!("/tasks/{agent}"), "/readyz"] {
            let asked = Instant::now();
            atelier.get(path).await;
            took.push(asked.elapsed());
        }
    }
    took.sort();
    let slow = took[took.len() * 99 / 100];
    let _ = writeln!(std::io::stderr(), "frozen for {:?}: {} pages, p99 {slow:?}", frozen.elapsed(), took.len());
    assert!(slow < Duration::from_millis(500), "p99 {slow:?}");
    docker.thaw();
    for running in [&agent, &setup] {
        std::fs::write(atelier.data_dir().join(format!("tasks/{running}/output/go")), "").unwrap();
        let task = atelier.task(running);
        task.completed().await;
        let restarts = task.events_of("note").await;
        assert!(!json!(restarts).to_string().contains("attempt 2"), "nothing was lost: {restarts:#?}");
    }
    atelier.task(&id).completed().await;
}

/// Docker goes away at the first request with these words, and comes back.
async fn waits_at(words: &'static str, stage: &str, settings: Settings) {
    let door = DockerDoor::shut_at(words);
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let settings = settings.model("openai", &model.url()).environment("DOCKER_HOST", &door.host());
    let atelier = Atelier::start_with(settings).await;
    let id = submit(&atelier).await;
    let task = atelier.task(&id);
    task.wait_until("the door to be shut", |_| door.is_shut()).await;
    is_ready(&atelier, false).await;
    let now = task.now().await;
    assert_eq!((&now["status"], &now["stage"]), (&json!("running"), &json!(stage)));

    door.open();

    task.completed().await;
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("Docker does not answer"));
    says(&task, "note", "Docker answers again.").await;
}

#[tokio::test]
async fn f12_a_task_whose_container_cannot_be_made_waits_for_docker() {
    waits_at("/containers/create", "setup", Settings::new()).await;
}

#[tokio::test]
async fn f12_a_source_that_cannot_be_given_to_the_agent_waits_for_docker() {
    waits_at("-own", "fetch", Settings::new().without_root()).await;
}

#[tokio::test]
async fn f12_no_task_is_collected_before_docker_has_removed_its_container() {
    waits_at("DELETE /", "agent", Settings::new()).await;
}
