//! Floods and silence: logs without end, programs in place of the agent that misbehave, connections that say nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn f23_a_log_without_end_is_cut_and_its_page_opens_at_once() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\necho the first line\nyes | head -c 12000000\n\
                 head -c 12000000 /dev/zero | tr '\\0' x\nhead -c 3000000 /dev/urandom\necho\necho the last line\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    task.completed().await;

    let log = atelier.data_dir().join(format!("logs/{}/setup.log", task.id));
    let log = std::fs::read(log).unwrap();
    assert!(log.len() < 21 << 20, "{} bytes", log.len());
    let text = String::from_utf8_lossy(&log);
    assert!(text.starts_with("the first line") && text.ends_with("the last line\n"), "head and tail are kept");
    let asked = Instant::now();
    assert_eq!(atelier.get(&format!("/tasks/{}", task.id)).await.status(), 200);
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn f21_programs_in_place_of_the_agent_that_misbehave_end_with_a_reason() {
    let runs = [
        ("kill -SEGV $$", "agent_crashed"),
        ("exit 0", "agent_exited"),
        ("while :; do :; done", "timeout"),
        ("yes", "timeout"),
        ("sleep 1d", "timeout"),
    ];
    join_all(runs.map(|(program, kind)| ends_as(program, kind))).await;
}

async fn ends_as(program: &str, kind: &str) {
    let settings = Settings::new()
        .set("agent.command", vec!["sh", "-c", program])
        .set("agent.task_timeout_s", if kind == "timeout" { 4 } else { 60 });
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    let asked = Instant::now();
    let ended = task.failed(kind).await;
    assert!(!ended["error"]["message"].as_str().unwrap().is_empty(), "{program}");
    assert!(asked.elapsed() < Duration::from_secs(40), "{program}: {:?}", asked.elapsed());
    assert!(atelier.resident_kib() < 300 * 1024, "{program}");
}

const CONNECTIONS: usize = 2000;

#[tokio::test]
async fn f27_idle_connections_neither_stop_tasks_nor_keep_people_out() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "sleep 3; echo done"})));
    model.will(Reply::text("Done."));
    let settings = Settings::new().model("openai", &model.url()).open_files(256);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.wait_until("the command", |task| task["steps"] == 1).await;

    // Half of them say nothing, half begin a request whose head never ends.
    let mut connecting = JoinSet::new();
    for number in 0..CONNECTIONS {
        let address = atelier.address();
        connecting.spawn(async move {
            let stream = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(address)).await;
            let mut stream = stream.ok()?.ok()?;
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
            }
            Some(stream)
        });
    }
    let idle: Vec<TcpStream> = connecting.join_all().await.into_iter().flatten().collect();
    assert!(idle.len() > 200, "{}", idle.len());
    assert!(atelier.open_files() < 256);

    task.completed().await;
    // Those who wait in the street are heard in their turn; once they have gone, at once.
    drop(idle);
    let asked = Instant::now();
    assert_eq!(atelier.get("/healthz").await.status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(!atelier.server_log().contains("panic"), "{}", atelier.server_log());
}
