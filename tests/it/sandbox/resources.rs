//! What a task uses up, and how it is stopped.

use std::time::Duration;

use super::{running, stdout};
use crate::harness::{Settings, Zip, containers_of};

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
