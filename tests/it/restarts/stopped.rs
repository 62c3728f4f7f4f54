//! Stopped calmly: what an agent does goes on without a server, and the next start takes it back.

use super::{mentions, notes, run, wait_for};
use crate::{
    harness::{Atelier, Settings, Zip, containers_of},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn a_stop_leaves_the_agent_at_work_and_the_next_start_takes_it_back() {
    let model = ModelServer::start().await;
    model.will(run("echo one > one; sleep 3; echo two > two"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let written = atelier.data_dir().join(format!("tasks/{id}/code/one"));
    wait_for("the file", || written.exists()).await;
    let container = containers_of(atelier.instance());

    atelier.stop_and_start_again().await;

    assert_eq!(containers_of(atelier.instance()), container);
    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(model.received().len(), 2);
    let patch = String::from_utf8(task.patch().await).unwrap();
    assert!(patch.contains("+one") && patch.contains("+two"), "{patch}");
    assert_eq!(mentions(&notes(&task).await, "goes on in its container"), 1);
}

#[tokio::test]
async fn a_stop_in_setup_leaves_no_container_and_the_task_begins_anew() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 2\n"), "Run.", &[]).await.id;
    let log = atelier.data_dir().join(format!("logs/{id}/setup.log"));
    wait_for("setup", || log.exists()).await;

    atelier.stop();
    assert!(containers_of(atelier.instance()).is_empty());
    atelier.start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(mentions(&notes(&task).await, "begins anew"), 1);
}
