//! Killed while a task is taken in, fetched or set up: all of that is done again from nothing, or never happened.

use std::io::Write;

use super::{gate::Gate, mentions, notes, run, wait_for};
use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, Zip, commit_all, containers_of, inspect, sh},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn f02_half_an_upload_is_no_task_and_a_whole_one_is() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let mut half = std::net::TcpStream::connect(atelier.url("").trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /api/tasks HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: 1000000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"a.zip\"\r\n\r\n",
        atelier.authorization()
    );
    half.write_all(head.as_bytes()).unwrap();
    half.write_all(&vec![b'x'; 300_000]).unwrap();
    let uploads = atelier.data_dir().join("uploads");
    let count = || std::fs::read_dir(&uploads).unwrap().count();
    wait_for("half an upload", || count() == 1).await;

    atelier.kill_and_start_again().await;

    wait_for("what nobody was told of to go", || count() == 0).await;
    assert_eq!(atelier.get_json("/api/tasks").await["tasks"].as_array().unwrap().len(), 0);
    let many = (0..3000).fold(Zip::new(), |zip, number| zip.file(&format!("files/{number}"), "content"));
    let whole = atelier.submit_zip(many, "Run.", &[]).await.id;
    atelier.kill_and_start_again().await;
    let task = atelier.task(&whole);
    task.completed().await;
    assert_eq!(mentions(&notes(&task).await, "The source has 3000 files"), 1, "{:?}", notes(&task).await);
}

#[tokio::test]
async fn f03_a_clone_that_was_cut_off_begins_again_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("tool");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join("a"), "a").unwrap();
    commit_all(&repository);
    let git = GitServer::start(folder.path()).await;
    let mut gate = Gate::before(&git.url("tool")).await;
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url()).allow_host("127.0.0.1")).await;
    let id = atelier.submit_git(&format!("http://127.0.0.1:{}/tool", gate.port), "Look.").await.id;
    gate.somebody_waits().await;
    let folders = std::fs::read_dir(atelier.data_dir().join("tasks")).unwrap().count();

    gate.open();
    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    let notes = notes(&task).await;
    assert_eq!(mentions(&notes, "begins anew (attempt 2 of 3)"), 1, "{notes:?}");
    assert_eq!(folders, 1);
}

#[tokio::test]
async fn f04_what_belongs_to_no_task_is_swept_and_a_task_never_has_two_containers() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\nsleep 2\n";
    let id = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Run.", &[]).await.id;
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    wait_for("setup", || log.exists()).await;
    let first = containers_of(atelier.instance());
    assert_eq!(first.len(), 1);
    atelier.kill();
    // As a kill between the daemon's work and our note of it would leave it.
    let label = format!("--label=io.atelier.instance={}", atelier.instance());
    let orphan =
        format!("docker create {label} --label=io.atelier.task=20260101_aaaaaaaaaaaa atelier-agent:latest true");
    let orphan = sh("/".as_ref(), &orphan).trim().to_owned();
    let network = sh("/".as_ref(), &format!("docker network create {label} atelier-f04-{id}")).trim().to_owned();

    atelier.start_again().await;

    let instance = atelier.instance().to_owned();
    wait_for("the sweep", || inspect(&orphan).is_none() && inspect(&network).is_none()).await;
    let most = std::sync::Mutex::new(0);
    let count = || {
        let mut most = most.lock().unwrap();
        *most = containers_of(&instance).len().max(*most);
    };
    let task = atelier.task(&id);
    let ended = task
        .wait_until("the end", |task| {
            count();
            task["status"] == "completed"
        })
        .await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(*most.lock().unwrap(), 1);
    assert!(inspect(&first[0]).is_none(), "that setup is not trusted any more");
}

#[tokio::test]
async fn f05_setup_runs_again_on_a_fresh_copy_and_not_for_ever() {
    let model = ModelServer::start().await;
    model.will(run("cat marker; ls /sys/class/net"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\necho once >> marker\necho begun\nsleep 2\n";
    let id = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Run.", &[]).await.id;
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    wait_for("setup", || std::fs::read(&log).is_ok_and(|log| log == b"begun\n")).await;

    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "once\nlo\n");
    assert_eq!(task.log("setup.attempt-1.log").await, "begun\n", "what the first one logged");

    let id = atelier
        .submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\necho begun\nsleep 60\n"), "Run.", &[])
        .await
        .id;
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    for _ in 0..3 {
        wait_for("setup", || log.exists()).await;
        atelier.kill();
        std::fs::remove_file(&log).unwrap();
        atelier.start_again().await;
    }
    let ended = atelier.task(&id).failed("server_restarted").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("3 times"), "{ended}");
}

#[tokio::test]
async fn f06_no_agent_starts_before_the_network_is_proven_cut_anew() {
    let model = ModelServer::start().await;
    model.will(run("ls /sys/class/net"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\necho end\n"), "Run.", &[]).await.id;
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    wait_for("the end of setup", || std::fs::read(&log).is_ok_and(|log| log == b"end\n")).await;

    atelier.kill_and_start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "lo\n");
    let events = task.events().await;
    let at =
        |what: &str| events.iter().rposition(|event| event["message"].as_str().is_some_and(|text| text.contains(what)));
    let asked = events.iter().position(|event| event["kind"] == "model_asked");
    assert!(at("The server was restarted") < at("Network cut; interfaces left: lo."), "{events:#?}");
    assert!(at("Network cut") < asked, "{events:#?}");
}
