//! What was said outlives the server, in every moment.

use serde_json::json;

use super::{completed, run, tell};
use crate::{
    harness::{Atelier, Settings, Zip, containers_of, sh},
    model_server::{ModelServer, Reply},
    restarts::wait_for,
};

#[tokio::test]
async fn a_turn_goes_on_after_a_kill_in_setup_at_the_agent_and_with_a_lost_container() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace"));
    model.will(Reply::text("One."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\nsleep 1\necho set up >> /opt/trace\n";
    let zip = Zip::new().file("a", "a").executable("setup.sh", setup);
    let id = atelier.submit_zip(zip, "Go.", &[]).await.id;
    atelier.task(&id).completed().await;

    model.will(run("echo two >> trace; cat trace /opt/trace"));
    model.will(Reply::hang());
    tell(&atelier, &id, "Two.").await;
    atelier.task(&id).reaches("setup").await;
    atelier.kill_and_start_again().await;
    wait_for("the second question of the turn", || model.received().len() == 4).await;
    atelier.kill();
    sh(std::path::Path::new("/"), &format!("docker rm -f {}", containers_of(atelier.instance()).join(" ")));
    model.will(run("echo three >> trace"));
    model.will(Reply::text("Two and three."));
    atelier.start_again().await;

    let ended = completed(&atelier, &id, 2).await;
    assert_eq!(ended["summary"], "Two and three.");
    let results = atelier.task(&id).tool_results().await;
    assert_eq!(results[1]["stdout"], "one\ntwo\nset up\n", "{results:#?}");
    let own = atelier.task(&id).log("turns/2/diff.patch").await;
    assert!(own.contains("@@ -1 +1,3 @@\n one\n+two\n+three\n"), "{own}");
    let whole = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    assert!(whole.contains("@@ -0,0 +1,3 @@\n+one\n+two\n+three\n"), "{whole}");
    let said = model.received().last().unwrap().body["messages"].to_string();
    assert_eq!(said.matches("container is a new one, prepared").count(), 1, "told of the turn once: {said}");
}

#[tokio::test]
async fn what_was_said_to_a_running_task_is_there_after_a_kill() {
    let model = ModelServer::start().await;
    model.will(run("until [ -e /app/output/go ]; do sleep 0.05; done"));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier.task(&id).wait_until("the command", |task| task["steps"] == 1).await;
    tell(&atelier, &id, "Do not forget this.").await;

    atelier.kill_and_start_again().await;

    model.will(Reply::text("I did not."));
    std::fs::write(atelier.data_dir().join("tasks").join(&id).join("output/go"), "").unwrap();
    completed(&atelier, &id, 1).await;
    let said = model.received().last().unwrap().body["messages"].to_string();
    assert_eq!(said.matches("Do not forget this.").count(), 1, "{said}");
    let told = atelier.get_json(&format!("/api/tasks/{id}/messages")).await;
    assert_eq!(told["messages"][0]["read_at_step"], json!(2));
}

#[tokio::test]
async fn a_task_that_was_completed_with_something_unread_goes_on_at_the_start() {
    let model = ModelServer::start().await;
    model.will(run("until [ -e /app/output/go ]; do sleep 0.05; done"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier.task(&id).wait_until("the command", |task| task["steps"] == 1).await;
    tell(&atelier, &id, "And one thing more.").await;
    std::fs::write(atelier.data_dir().join("tasks").join(&id).join("output/go"), "").unwrap();
    completed(&atelier, &id, 1).await;
    assert_eq!(model.received().len(), 2);

    // As a kill leaves it that comes after the end was stored and before the task goes on: nobody can aim that well.
    let unread = |data_dir: &std::path::Path| {
        let database = rusqlite::Connection::open(data_dir.join("atelier.db")).unwrap();
        assert_eq!(database.execute("UPDATE follow_ups SET read_at_step = NULL", []).unwrap(), 1);
    };
    model.will(Reply::text("Did that, too."));
    atelier.change_while_stopped(unread).await;

    wait_for("the question of the second turn", || model.received().len() == 3).await;
    completed(&atelier, &id, 2).await;
    let said = model.received().last().unwrap().body["messages"].as_array().unwrap().last().unwrap().to_string();
    assert!(said.contains("And one thing more."), "{said}");
}
