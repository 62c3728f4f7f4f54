//! The checks are broken off: by a kill of the server, by a person, by the time for all of them.

use std::path::Path;

use serde_json::json;

use super::{checks, seen, server};
use crate::{
    harness::{AfterStop, SMALL_IMAGE, SecondDocker, Settings, Zip, containers_of},
    restarts::wait_for,
};

/// A check says on the disk of the server that it runs: its log.
async fn runs(data_dir: &Path, id: &str, number: usize) {
    let log = data_dir.join(format!("logs/{id}/checks/{number}.log"));
    wait_for("the check to say something", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("begun")))
        .await;
}

#[tokio::test]
async fn f09_killed_while_the_checks_run_they_begin_anew_and_the_result_is_there_once() {
    let settings = checks(&["cat a", "echo begun; sleep 4; echo over"]);
    let (mut atelier, model) = server(settings, "echo new >> a").await;
    let id = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await.id;
    runs(&atelier.data_dir(), &id, 2).await;
    atelier.kill();
    atelier.start_again().await;

    let task = atelier.task(&id);
    let ended = task.completed().await;
    assert_eq!(seen(&ended).into_iter().map(|(_, status)| status).collect::<Vec<_>>(), ["passed", "passed"]);
    assert_eq!(task.log("checks/1.log").await, "old\nnew\n", "the patch lies on it once");
    assert_eq!(task.log("checks/2.log").await, "begun\nover\n");
    // Asked, held to the checks, and not again after the kill.
    assert_eq!(model.received().len(), 3);
    assert_eq!(task.events_of("verification").await.len(), 1);
}

#[tokio::test]
async fn a_server_that_is_killed_by_its_checks_gives_them_up() {
    let settings = checks(&["echo begun; sleep 1h"]);
    let (mut atelier, _model) = server(settings, "echo new > a").await;
    let id = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await.id;
    for _ in 0..3 {
        runs(&atelier.data_dir(), &id, 1).await;
        atelier.kill();
        std::fs::remove_dir_all(atelier.data_dir().join(format!("logs/{id}/checks"))).unwrap();
        atelier.start_again().await;
    }
    let ended = atelier.task(&id).completed().await;
    assert_eq!((&seen(&ended)[0].1, &ended["verification"]["verdict"]), (&"not_run", &json!("incomplete")));
    assert!(ended["verification"]["problem"].as_str().unwrap().contains("3 times"), "{ended:#}");
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_checks() {
    let (mut atelier, _model) = server(checks(&["echo begun; sleep 20; echo over"]), "echo new > a").await;
    let id = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await.id;
    runs(&atelier.data_dir(), &id, 1).await;
    atelier.stop_and_start_again().await;
    let task = atelier.task(&id);
    assert_eq!(task.now().await["status"], "running");
    task.cancel().await;
    task.completed().await;
}

#[tokio::test]
async fn f25_cancelled_while_the_checks_run_the_patch_is_there_and_nothing_is_published() {
    let forge = crate::forges::Forge::start(crate::forges::Kind::Gitea, &[("a", "old\n")]).await;
    let settings = forge.settings().set("checks.commands", vec!["true".to_owned(), "echo begun; sleep 1h".to_owned()]);
    let (atelier, _model) = server(settings, "echo new > a").await;
    let body = json!({"source": {"git_url": forge.url()}, "task": "Make it new.", "mode": "pr"});
    let task = atelier.submit(&body).await;
    runs(&atelier.data_dir(), &task.id, 2).await;
    task.cancel().await;

    let ended = task.completed().await;
    assert_eq!(seen(&ended).into_iter().map(|(_, status)| status).collect::<Vec<_>>(), ["passed", "not_run"]);
    assert!(ended["verification"]["problem"].as_str().unwrap().contains("stopped"), "{ended:#}");
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+new"));
    assert!(forge.pulls().is_empty() && forge.branches().is_empty());
    assert!(containers_of(atelier.instance()).is_empty() && atelier.workspaces().is_empty());
}

#[tokio::test]
async fn checks_that_take_too_long_together_are_ended() {
    let settings: Settings = checks(&["true", "sleep 1h", "echo after"]).set("checks.total_timeout_s", 6);
    let (atelier, _model) = server(settings, "echo new > a").await;
    let task = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await;
    let ended = task.completed().await;
    let statuses: Vec<_> = seen(&ended).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["passed", "timed_out", "not_run"]);
    assert!(ended["verification"]["problem"].as_str().unwrap().contains("total_timeout_s"), "{ended:#}");
}

#[tokio::test]
async fn f12_docker_restarts_while_the_checks_run_and_they_begin_anew() {
    let mut docker = SecondDocker::start(AfterStop::TheyEnd).await;
    let settings = checks(&["cat a", "echo begun; sleep 3; echo over"])
        .set("sandbox.image", SMALL_IMAGE)
        .environment("DOCKER_HOST", &docker.host());
    let (atelier, model) = server(settings, "echo new >> a").await;
    let id = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await.id;
    runs(&atelier.data_dir(), &id, 2).await;
    docker.stop().await;
    docker.start_again().await;

    let task = atelier.task(&id);
    let ended = task.completed().await;
    assert_eq!(ended["verification"]["verdict"], "passed", "{ended:#}");
    assert_eq!(task.log("checks/1.log").await, "old\nnew\n");
    assert_eq!(task.log("checks/2.log").await, "begun\nover\n");
    assert_eq!(model.received().len(), 3);
    let warnings = task.events_of("warning").await;
    let is_told =
        |event: &serde_json::Value| event["message"].as_str().unwrap().contains("begin anew once Docker answers");
    assert!(warnings.iter().any(is_told), "{warnings:#?}");
}
