//! What goes by itself, and what never does.

use crate::{
    harness::{Atelier, Settings, Zip, containers_of, sh},
    model_server::{ModelServer, Reply},
};

/// Makes every task look as if it had ended long ago.
fn age(data_dir: &std::path::Path, days: u32) {
    let script = format!(
        "import sqlite3; c = sqlite3.connect('atelier.db'); \
         c.execute(\\\"UPDATE tasks SET finished_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-{days} days')\\\"); c.commit()"
    );
    sh(data_dir, &format!("python3 -c \"{script}\""));
}

#[tokio::test]
async fn old_uploads_go_then_logs_and_steps_and_the_row_stays() {
    let model = ModelServer::start().await;
    model.will(Reply::text("I change nothing."));
    let settings =
        Settings::new().model("openai", &model.url()).set("retention.uploads_days", 3).set("retention.logs_days", 10);
    let mut atelier = Atelier::start_with(settings).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier.task(&id).completed().await;
    let (upload, logs) =
        (atelier.data_dir().join(format!("tasks/{id}/upload.zip")), atelier.data_dir().join(format!("logs/{id}")));
    assert!(upload.exists() && logs.join("prompt.txt").exists());

    atelier.change_while_stopped(|data| age(data, 5)).await;
    atelier.task(&id).wait_until_gone(&upload).await;
    assert!(logs.join("prompt.txt").exists());
    assert_eq!(atelier.post_json(&format!("/api/tasks/{id}/retry"), &serde_json::Value::Null).await.status(), 409);

    atelier.change_while_stopped(|data| age(data, 20)).await;
    atelier.task(&id).wait_until_gone(&logs).await;
    let task = atelier.task(&id).now().await;
    assert_eq!((&task["summary"], &task["steps"]), (&"I change nothing.".into(), &1.into()));
    let events = atelier.task(&id).events().await;
    assert!(events.iter().all(|event| event["kind"] != "model_replied"));
    assert!(events.last().unwrap()["message"].as_str().unwrap().contains("after 10 days"), "{events:?}");
    assert_eq!(atelier.get(&format!("/tasks/{id}")).await.status(), 200);
}

#[tokio::test]
async fn beyond_the_budget_the_oldest_uploads_go_first() {
    let model = ModelServer::start().await;
    for _ in 0..2 {
        model.will(Reply::text("Done."));
    }
    let settings = Settings::new().model("openai", &model.url()).set("retention.max_disk_mb", 1);
    let mut atelier = Atelier::start_with(settings).await;
    let mut uploads = Vec::new();
    let noise: Vec<u8> = (0..700_000).map(|_| rand::random()).collect();
    let mut id = String::new();
    for _ in 0..2 {
        id = atelier.submit_zip(Zip::new().entry("noise", &noise, 0o644), "Go.", &[]).await.id;
        atelier.task(&id).completed().await;
        uploads.push(atelier.data_dir().join(format!("tasks/{id}/upload.zip")));
    }
    atelier.change_while_stopped(|_| {}).await;
    atelier.task(&id).wait_until_gone(&uploads[0]).await;
    assert!(uploads[1].exists(), "the younger one fits");
    assert!(!atelier.task(&id).log("prompt.txt").await.is_empty());
}

#[tokio::test]
async fn what_others_made_survives_the_sweep() {
    let mut atelier = Atelier::start().await;
    let name = format!("foreign-{}", atelier.instance());
    let run = |line: String| sh(std::path::Path::new("/"), &line).trim().to_owned();
    let image = "debian:bookworm-slim";
    let make = |labels: &str| run(format!("docker create {labels} {image} true"));
    let ours = make(&format!(
        "--label io.atelier.instance={} --label io.atelier.task=20200101_aaaaaaaaaaaa",
        atelier.instance()
    ));
    let foreign = [make(""), make("--label io.atelier.instance=another --label io.atelier.task=20200101_aaaaaaaaaaaa")];
    run(format!("docker network create --label io.atelier.instance=another {name}"));
    run(format!("docker tag {image} {name}:1"));
    let folder = atelier.data_dir().join("tasks/20200101_aaaaaaaaaaaa");
    let beside = atelier.data_dir().join("my-notes");
    for path in [&folder, &beside] {
        std::fs::create_dir(path).unwrap();
    }

    atelier.kill_and_start_again().await;

    // The first look happens at the start.
    while containers_of(atelier.instance()).contains(&ours[..12].to_owned()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!folder.exists() && beside.exists());
    for container in &foreign {
        run(format!("docker inspect {container} && docker rm {container}"));
    }
    run(format!("docker network rm {name} && docker rmi {name}:1"));
}
