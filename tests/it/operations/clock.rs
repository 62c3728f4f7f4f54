//! The clock of the server is set while tasks wait and run. Whatever waits or limits goes by another one.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

const DAY: i64 = 24 * 60 * 60;

fn set_clock(file: &Path, seconds: i64) {
    // Renamed into place: the server never reads half a number.
    let new = file.with_extension("new");
    std::fs::write(&new, seconds.to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn f24_tasks_streams_and_logins_go_on_when_the_clock_of_the_server_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set_clock(&clock, 0);
    let model = ModelServer::start().await;
    let settings = Settings::new()
        .model("openai", &model.url())
        .set("queue.max_running", 1)
        .environment("ATELIER_TEST_CLOCK", clock.to_str().unwrap());
    let atelier = Atelier::start_with(settings).await;
    let mut ids = Vec::new();
    // By a day, back by two, past the year 2038, and to where it was.
    for seconds in [DAY, -DAY, 15 * 366 * DAY, 0] {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": "sleep 3; echo slept" })));
        model.will(Reply::text("Done."));
        model.will(Reply::text("Done."));
        let running = atelier.submit_zip(Zip::new().file("a", "a"), "Sleep.", &[]).await;
        let waiting = atelier.submit_zip(Zip::new().file("a", "a"), "Nothing.", &[]).await;
        running.wait_until("a command runs", |task| task["steps"] == 1).await;

        set_clock(&clock, seconds);

        running.completed().await;
        waiting.completed().await;
        assert_eq!(running.tool_results().await[0]["stdout"], "slept\n");
        let seqs: Vec<_> = running.events().await.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        ids.splice(0..0, [waiting.id.clone(), running.id.clone()]);
    }
    let list = atelier.get_json("/api/tasks?limit=50").await;
    let listed: Vec<_> = list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids, "the newest first, whatever time it was");
    assert!(!atelier.server_log().contains("panicked"), "{}", atelier.server_log());
}

#[tokio::test]
async fn f24_a_time_limit_is_as_long_as_it_says_whatever_the_clock_is_set_to() {
    const LIMIT: u64 = 12;
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set_clock(&clock, 0);
    for seconds in [DAY, -DAY] {
        let model = ModelServer::start().await;
        model.will(Reply::text("").tool_call("run_command", json!({ "command": "sleep 100" })));
        let settings = Settings::new()
            .model("openai", &model.url())
            .set("agent.task_timeout_s", i64::try_from(LIMIT).unwrap())
            .environment("ATELIER_TEST_CLOCK", clock.to_str().unwrap());
        let atelier = Atelier::start_with(settings).await;
        let task = atelier.submit_zip(Zip::new().file("a", "a"), "Sleep.", &[]).await;
        task.wait_until("it runs", |task| task["status"] == "running").await;
        let started = Instant::now();
        task.wait_until("a command runs", |task| task["steps"] == 1).await;

        set_clock(&clock, seconds);

        task.failed("timeout").await;
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(LIMIT - 1), "too early: {took:?}");
        assert!(took < Duration::from_secs(4 * LIMIT), "too late: {took:?}");
    }
}
