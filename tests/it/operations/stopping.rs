//! SIGTERM, once and twice.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

async fn in_the_middle_of_a_task() -> (ModelServer, Atelier) {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "sleep 5"})));
    for _ in 0..3 {
        model.will(Reply::text("Done."));
    }
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.wait_until("the command", |task| task["steps"] == 1).await;
    (model, atelier)
}

#[tokio::test]
async fn f11_sigterm_in_the_middle_of_a_task_ends_the_server_within_fifteen_seconds() {
    let (_model, mut atelier) = in_the_middle_of_a_task().await;
    // Somebody watches, and somebody else said hello and nothing more.
    let mut watched = atelier.get("/live").await;
    let _idle = tokio::net::TcpStream::connect(atelier.address()).await.unwrap();
    let asked = Instant::now();
    atelier.signal("TERM");
    while watched.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
    assert!(asked.elapsed() < Duration::from_secs(2), "event streams end at once");
    assert_eq!(atelier.exit_code().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    // What is left over is for the next start, which ends or goes on with the task.
    atelier.change_while_stopped(|_| {}).await;
    atelier.get_json("/api/tasks?limit=1").await;
    let id = atelier.get_json("/api/tasks?limit=1").await["tasks"][0]["id"].as_str().unwrap().to_owned();
    atelier.task(&id).ended().await;
}

#[tokio::test]
async fn f11_a_second_signal_ends_the_server_at_once() {
    let (_model, mut atelier) = in_the_middle_of_a_task().await;
    let asked = Instant::now();
    atelier.signal("TERM");
    atelier.signal("INT");
    atelier.exit_code().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    atelier.change_while_stopped(|_| {}).await;
    let id = atelier.get_json("/api/tasks?limit=1").await["tasks"][0]["id"].as_str().unwrap().to_owned();
    atelier.task(&id).ended().await;
}
