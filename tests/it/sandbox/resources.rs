//! What a task uses up, and how it is stopped.

use std::time::Duration;

use super::{running, stdout};
use crate::harness::{Atelier, Settings, Zip, containers_of, sh};

#[tokio::test]
async fn r33_a_task_over_its_time_leaves_nothing_behind() {
    let left_over = "nohup sh -c 'sleep 2; touch /app/output/leak' >/dev/null 2>&1 & sleep 15";
    let (atelier, _model) = running(&[left_over], Settings::new().set("agent.task_timeout_s", 2)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Take your time.", &[]).await;

    let ended = task.failed("timeout").await;

    assert!(ended["error"]["message"].as_str().unwrap().contains("task_timeout_s"));
    assert!(containers_of(atelier.instance()).is_empty());
    assert_eq!(task.patch().await, b"", "the work so far is kept");
}

#[tokio::test]
async fn a_command_over_its_time_is_ended_with_its_children_and_the_task_goes_on() {
    let (atelier, _model) =
        running(&["sleep 30 & sleep 30", "pgrep -c sleep"], Settings::new().set("agent.command_timeout_s", 1)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await;
    task.completed().await;
    let results = task.tool_results().await;
    assert!(results[0]["message"].as_str().unwrap().contains("timed out"), "{}", results[0]);
    assert_eq!(stdout(&results[1]), "0\n");
}

#[tokio::test]
async fn a_task_is_cancelled_in_every_stage_and_twice() {
    let endless = Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d\n");
    let (atelier, _model) = running(&["sleep 15"], Settings::new()).await;
    let in_setup = atelier.submit_zip(endless, "Go.", &[]).await;
    in_setup.reaches("setup").await;
    let in_agent = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    in_agent.wait_until("the first command", |task| task["steps"] == 1).await;
    let queued = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    for task in [queued, in_agent, in_setup] {
        assert!(task.cancel().await.status().is_success());
        assert!(task.cancel().await.status().is_success());
        let ended = tokio::time::timeout(Duration::from_secs(5), task.ended()).await.expect("cancelled within 5 s");
        assert_eq!(ended["status"], "cancelled");
        assert!(task.cancel().await.status().is_success());
    }
    assert!(containers_of(atelier.instance()).is_empty());
}

const HOG: &str = "python3 -c 'keep = b\"x\" * (1 << 30)'";

#[tokio::test]
async fn r32_a_fork_bomb_stays_in_its_task() {
    let bomb = "python3 -c 'import os\nwhile True:\n try: os.fork()\n except OSError: pass'";
    let settings = Settings::new().set("agent.command_timeout_s", 3).set("sandbox.cpus", 0.5);
    let (atelier, _model) = running(&[bomb, "echo alive"], settings.set("sandbox.pids", 64)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Fork.", &[]).await;
    task.completed().await;
    let results = task.tool_results().await;
    assert!(results[0]["message"].as_str().unwrap().contains("timed out"), "{}", results[0]);
    assert_eq!(stdout(&results[1]), "alive\n");
}

#[tokio::test]
async fn r32_r34_f20_a_command_that_uses_up_the_memory_ends_the_task_as_oom() {
    let (atelier, _model) = running(&[HOG], Settings::new().set("sandbox.memory_mb", 128)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Fill.", &[]).await;
    let ended = task.failed("oom").await;
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("at most 128 MiB were in use") && message.contains("memory_mb"), "{message}");
    assert_eq!(task.tool_results().await[0]["returncode"], 137);
    assert_eq!(task.patch().await, b"", "the work so far is kept");
}

#[tokio::test]
async fn r34_the_model_is_told_of_used_up_memory_where_that_is_wished() {
    let settings = Settings::new().set("sandbox.memory_mb", 128).set("sandbox.on_oom", "tell");
    let (atelier, _model) = running(&[HOG], settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Fill.", &[]).await;
    task.completed().await;
    assert!(task.log("prompt.txt").await.contains("out_of_memory: the kernel ended a process"));
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("Out of memory"));
}

#[tokio::test]
async fn r34_f20_a_setup_that_uses_up_the_memory_is_oom_and_so_is_another_agent_program() {
    let settings = Settings::new().set("sandbox.memory_mb", 128);
    let settings = settings.set("agent.command", vec!["python3", "-c", "keep = b'x' * (1 << 30)"]);
    let atelier = Atelier::start_with(settings).await;
    let setup = Zip::new().executable("setup.sh", &format!("#!/bin/sh\n{HOG}\n"));
    for zip in [setup.bytes(), Zip::new().file("a", "a").bytes()] {
        let task = atelier.submit_zip_bytes(zip, "Fill.", &[]).await;
        let ended = task.failed("oom").await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains("the kernel ended a process"), "{message}");
    }
}

#[tokio::test]
async fn r32_a_task_that_fills_the_disk_is_ended_in_every_stage() {
    let files = "python3 -c 'for n in range(5000): open(f\"/app/output/{n}\", \"w\")'; sleep 15";
    let bytes = "for n in 1 2 3 4; do head -c 40M /dev/zero > /app/code/$n; done; sleep 15";
    let settings = || Settings::new().set("sandbox.disk_mb", 100).set("sandbox.disk_files", 2000);
    for command in [files, bytes] {
        let (atelier, _model) = running(&[command], settings()).await;
        let task = atelier.submit_zip(Zip::new().file("a", "a"), "Fill.", &[]).await;
        let ended = task.failed("disk_limit").await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains("disk_mb = 100 and disk_files = 2000"), "{message}");
    }
    let atelier = Atelier::start_with(settings()).await;
    let beside = "#!/bin/sh\nfor n in 1 2 3 4; do head -c 40M /dev/zero > /var/$n; done; sleep 1d\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", beside), "Fill.", &[]).await;
    task.failed("disk_limit").await;
}

#[tokio::test]
async fn r33_an_agent_that_says_nothing_is_ended_as_silent() {
    let settings = Settings::new()
        .set("agent.no_output_timeout_s", 1)
        .set("agent.command_timeout_s", 1)
        .set("agent.command_max_timeout_s", 1)
        .set("agent.command", vec!["sleep", "1d"]);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    let ended = task.failed("no_output").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no_output_timeout_s"), "{ended}");
}

#[tokio::test]
async fn r34_a_container_that_somebody_kills_is_named_so() {
    let (atelier, _model) = running(&["sleep 15"], Settings::new()).await;
    let in_setup = Zip::new().executable("setup.sh", "#!/bin/sh\necho begun; sleep 1d\n");
    let task = atelier.submit_zip(in_setup, "Go.", &[]).await;
    let log = atelier.data_dir().join(format!("logs/{}/setup.log", task.id));
    task.wait_until("setup.sh", |_| log.metadata().is_ok_and(|log| log.len() > 0)).await;
    kill_containers(&atelier);
    task.failed("container_killed").await;

    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.wait_until("the command", |task| task["steps"] == 1).await;
    kill_containers(&atelier);
    task.failed("container_killed").await;
}

fn kill_containers(atelier: &Atelier) {
    for container in containers_of(atelier.instance()) {
        sh(&atelier.data_dir(), &format!("docker kill {container}"));
    }
}
