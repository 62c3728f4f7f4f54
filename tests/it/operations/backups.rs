//! A backup of a running server, and a restart of it elsewhere; databases that cannot be used.

use std::{path::Path, process::Command};

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, containers_of, sh},
    model_server::{ModelServer, Reply},
};

fn atelier(arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_atelier")).args(arguments).env_remove("ATELIER_LOG").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn f19_a_backup_of_a_running_server_has_everything_and_restores() {
    let model = ModelServer::start().await;
    for _ in 0..2 {
        model.will(Reply::text("All is well."));
    }
    // One task has ended, another one waits: for Docker, which is not where it is looked for after the first.
    let settings = Settings::new().model("openai", &model.url());
    let mut atelier_server = Atelier::start_with(settings).await;
    let done = atelier_server.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier_server.task(&done).completed().await;
    let token = std::fs::read_to_string(atelier_server.data_dir().join("admin-token")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let path = |path: &Path| path.display().to_string();
    let data = path(&atelier_server.data_dir());
    let (code, said) = atelier(&["backup", "--data-dir", &data, &path(&file)]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(token.trim().len()).any(|part| part == token.trim().as_bytes()), "the token is not in it");

    // While the server runs, or over tasks that are there, nothing is restored.
    assert_eq!(atelier(&["restore", "--data-dir", &data, &path(&file)]).0, Some(4));
    assert_eq!(atelier(&["backup", "--data-dir", &data, &path(&file)]).0, Some(4), "no file is overwritten");

    let lost = atelier_server.submit_zip(Zip::new().file("a", "a"), "Later.", &[]).await.id;
    atelier_server.task(&lost).completed().await;
    atelier_server
        .change_while_stopped(|data_dir| {
            sh(data_dir, "rm -rf ./*");
            let (code, said) = atelier(&["restore", "--data-dir", &path(data_dir), &path(&file)]);
            assert_eq!(code, Some(0), "{said}");
            // The test goes on with the token it knows.
            std::fs::write(data_dir.join("admin-token"), &token).unwrap();
        })
        .await;
    let task = atelier_server.task(&done).completed().await;
    assert_eq!(task["summary"], "All is well.");
    assert_eq!(atelier_server.task(&done).log("explanation.md").await, "All is well.");
    assert_eq!(atelier_server.get(&format!("/api/tasks/{lost}")).await.status(), 404, "it came after the backup");
    let again = atelier_server.post_json(&format!("/api/tasks/{done}/retry"), &serde_json::Value::Null).await;
    assert_eq!(again.status(), 201, "the upload is there");
    let again: serde_json::Value = again.json().await.unwrap();
    let again = atelier_server.task(again["id"].as_str().unwrap());
    assert!(again.cancel().await.status().is_success());
    again.ended().await;
}

#[tokio::test]
async fn f19_a_copy_restored_beside_its_server_touches_nothing_of_it() {
    let model = ModelServer::start().await;
    let go_on = "until [ -e /app/output/go ]; do sleep 0.1; done";
    model.plays(move |request| {
        let is_first = request.body["messages"].as_array().unwrap().iter().all(|said| said["role"] != "assistant");
        let command = json!({ "command": format!("echo kept > kept; {go_on}") });
        let stays = is_first && request.body.to_string().contains("Stay.");
        if stays { Reply::text("").tool_call("run_command", command).into() } else { Reply::text("Done.").into() }
    });
    let settings = || Settings::new().model("openai", &model.url()).set("queue.max_running", 2);
    let original = Atelier::start_with(settings()).await;
    let agent = original.submit_zip(Zip::new().file("a", "a"), "Stay.", &[]).await;
    agent.wait_until("the command", |task| task["steps"] == 1).await;
    let setup = format!("#!/bin/sh\necho begun\n{go_on}\n");
    let setup = original.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await;
    let log = original.data_dir().join(format!("logs/{}/setup.log", setup.id));
    setup.wait_until("setup", |_| std::fs::read_to_string(&log).is_ok_and(|log| log == "begun\n")).await;
    let queued = original.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    let go = |server: &Atelier, id: &str| {
        let output = server.data_dir().join(format!("tasks/{id}/output"));
        output.exists() && std::fs::write(output.join("go"), "").is_ok()
    };
    let containers = containers_of(original.instance());
    assert_eq!(containers.len(), 2);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar").display().to_string();
    let data = original.data_dir().display().to_string();
    assert_eq!(atelier(&["backup", "--data-dir", &data, &file]).0, Some(0));
    let mut copy = Atelier::start_with(settings()).await;
    let token = copy.token().to_owned();
    copy.change_while_stopped(|data_dir| {
        sh(data_dir, "rm -rf ./*");
        assert_eq!(atelier(&["restore", "--data-dir", &data_dir.display().to_string(), &file]).0, Some(0));
        std::fs::write(data_dir.join("admin-token"), token).unwrap();
    })
    .await;

    let lost = copy.task(&agent.id).failed("server_restarted").await;
    assert!(lost["error"]["message"].as_str().unwrap().contains("in no backup"), "{lost:#}");
    copy.task(&setup.id).wait_until("a second attempt", |_| go(&copy, &setup.id)).await;
    copy.task(&setup.id).completed().await;
    copy.task(&queued.id).completed().await;
    assert_eq!(containers_of(original.instance()), containers, "those of the original run on");
    assert!(go(&original, &agent.id) && go(&original, &setup.id));
    for task in [&agent, &setup, &queued] {
        task.completed().await;
        assert!(!json!(task.events_of("note").await).to_string().contains("attempt 2"), "nothing was done again");
    }
    assert!(String::from_utf8(agent.patch().await).unwrap().contains("+kept"));
}

#[tokio::test]
async fn f19_a_task_is_taken_although_another_program_holds_the_database() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let held = atelier.data_dir().join("held");
    let script = "import sqlite3, time, pathlib; c = sqlite3.connect('atelier.db', isolation_level=None); \
                  c.execute('BEGIN IMMEDIATE'); pathlib.Path('held').touch(); time.sleep(3); c.execute('COMMIT')";
    let mut holder = Command::new("python3").args(["-c", script]).current_dir(atelier.data_dir()).spawn().unwrap();
    while !held.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let asked = std::time::Instant::now();
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    assert!(asked.elapsed().as_millis() > 500, "it had to wait");
    assert_eq!(atelier.get("/").await.status(), 200, "reading goes on");
    task.completed().await;
    holder.wait().unwrap();
}
