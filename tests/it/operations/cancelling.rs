//! A task is cancelled when it is nearly over: it has one end, which was decided first, and nothing of it stays.

use std::time::Duration;

use serde_json::Value;

use crate::{
    harness::{Atelier, DockerDoor, Settings, Task, Zip, containers_of},
    model_server::{ModelServer, Reply},
};

/// How the task ended, which it did once.
async fn only_end(task: &Task<'_>) -> String {
    let ended = task.ended().await;
    let events = task.events_of("status").await;
    let of = |event: &Value| event["status"].as_str().unwrap().to_owned();
    let ends: Vec<String> =
        events.iter().map(of).filter(|status| !matches!(&status[..], "queued" | "running")).collect();
    assert_eq!(ends, [ended["status"].as_str().unwrap()], "{events:#?}");
    ends[0].clone()
}

/// A server that is not root asks Docker in these stages too, so the task can be held there.
async fn cancelled_in(stage: &str, containers_before: usize) {
    let door = DockerDoor::shut_at_nth("/containers/create", containers_before + 1);
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", serde_json::json!({ "command": "echo kept > kept" })));
    model.will(Reply::text("Done."));
    let settings =
        Settings::new().model("openai", &model.url()).environment("DOCKER_HOST", &door.host()).without_root();
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.wait_until("the door to be shut", |_| door.is_shut()).await;
    assert_eq!(task.now().await["stage"], stage);

    for _ in 0..2 {
        assert!(task.cancel().await.status().is_success());
    }
    assert_eq!(task.now().await["status"], "running", "it is not over before it is tidied up");
    door.open();

    assert_eq!(only_end(&task).await, "completed", "that was decided before it was cancelled");
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+kept"));
    assert!(task.cancel().await.status().is_success());
    assert_eq!(only_end(&task).await, "completed");
    assert!(containers_of(atelier.instance()).is_empty() && atelier.workspaces().is_empty());
}

#[tokio::test]
async fn f25_cancelled_while_it_is_collected() {
    // The owners of code and output, and the agent's own.
    cancelled_in("collect", 3).await;
}

#[tokio::test]
async fn f25_cancelled_while_it_is_cleaned_up() {
    cancelled_in("clean_up", 4).await;
}

#[tokio::test]
async fn f25_cancelling_races_with_the_end() {
    let model = ModelServer::start().await;
    model.plays(|_| Reply::text("Done.").slowly(Duration::from_millis(rand::random_range(0..60))).into());
    let settings = Settings::new().model("openai", &model.url()).set("queue.max_running", 3);
    let atelier = Atelier::start_with(settings).await;
    let mut ends = Vec::new();
    for _ in 0..4 {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            tasks.push(atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await);
        }
        for task in &tasks {
            task.wait_until("the agent or the end", |now| now["stage"] == "agent" || !now["finished_at"].is_null())
                .await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..150))).await;
            let answers = tokio::join!(task.cancel(), task.cancel());
            assert!(answers.0.status().is_success() && answers.1.status().is_success());
        }
        for task in &tasks {
            ends.push(only_end(task).await);
        }
    }
    assert!(ends.iter().all(|end| matches!(&end[..], "completed" | "cancelled")), "{ends:?}");
    assert!(containers_of(atelier.instance()).is_empty());
}
