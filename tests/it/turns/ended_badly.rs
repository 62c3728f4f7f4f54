//! Going on after a limit, a failure, a cancellation; and what is said when a task cannot.

use serde_json::{Value, json};

use super::{completed, run, say, tell};
use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn after_a_limit_it_goes_on_once_the_limit_is_raised() {
    let model = ModelServer::start().await;
    for number in 1..=2 {
        model.will(run(&format!("echo {number} >> trace")));
    }
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let limits = json!({ "max_steps": 2 }).to_string();
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Count.", &[("limits", &limits)]).await.id;
    atelier.task(&id).failed("budget_exceeded").await;

    let refused = say(&atelier, &id, &json!({ "text": "Go on." })).await;
    assert_eq!(refused.status(), 409);
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("all 2 steps"), "{refused}");
    model.will(run("echo 3 >> trace"));
    model.will(Reply::text("Counted."));
    let answer = say(&atelier, &id, &json!({ "text": "Go on.", "limits": { "max_steps": 4 } })).await;
    assert_eq!(answer.status(), 201);

    let ended = completed(&atelier, &id, 2).await;
    assert_eq!((&ended["limits"]["max_steps"], &ended["steps"]), (&json!(4), &json!(4)));
    let patch = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    assert!(patch.contains("+1\n+2\n+3\n"), "{patch}");
    assert_eq!(ended["turns"][0]["error"]["kind"], "budget_exceeded");
    assert_eq!(ended["error"], Value::Null);
}

#[tokio::test]
async fn a_call_that_was_broken_off_is_not_made_again() {
    let model = ModelServer::start().await;
    let twice = Reply::text("")
        .tool_call("run_command", json!({ "command": "echo once >> trace; sleep 60" }))
        .tool_call("run_command", json!({ "command": "echo never >> trace" }));
    model.will(twice);
    let atelier = Atelier::start_with(Settings::new().model("anthropic", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    let trace = atelier.data_dir().join(format!("tasks/{id}/code/trace"));
    crate::restarts::wait_for("the command", || trace.exists()).await;
    atelier.task(&id).cancel().await;
    assert_eq!(atelier.task(&id).ended().await["status"], "cancelled");

    model.will(run("cat trace"));
    model.will(Reply::text("Done."));
    tell(&atelier, &id, "Go on.").await;
    completed(&atelier, &id, 2).await;

    let asked = model.received();
    let messages = asked[1].body["messages"].to_string();
    assert_eq!(messages.matches("was broken off before this call came back").count(), 2, "{messages}");
    let results = atelier.task(&id).tool_results().await;
    assert_eq!(results.last().unwrap()["stdout"], "once\n", "{results:#?}");
}

#[tokio::test]
async fn a_turn_whose_setup_fails_leaves_everything_as_it_was() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace"));
    model.will(Reply::text("One."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let with_setup = |script: &str| Zip::new().file("a", "a").executable("setup.sh", script);
    let id = atelier.submit_zip(with_setup("#!/bin/sh\ntrue\n"), "Go.", &[]).await.id;
    atelier.task(&id).completed().await;
    let patch = atelier.task(&id).patch().await;

    // The archive is another one by now.
    let upload = atelier.data_dir().join(format!("tasks/{id}/upload.zip"));
    std::fs::write(&upload, with_setup("#!/bin/sh\nexit 3\n").bytes()).unwrap();
    tell(&atelier, &id, "Two.").await;
    let failed = atelier.task(&id).failed("setup_failed").await;

    assert_eq!((&failed["turn"], &failed["diff"]["files"]), (&json!(2), &json!(1)), "{failed:#}");
    assert_eq!(atelier.task(&id).patch().await, patch);
    assert_eq!(failed["turns"][0]["summary"], "One.");
    std::fs::write(&upload, with_setup("#!/bin/sh\ntrue\n").bytes()).unwrap();
    model.will(run("cat trace; echo three >> trace"));
    model.will(Reply::text("Three."));
    tell(&atelier, &id, "Three.").await;
    completed(&atelier, &id, 3).await;
    assert_eq!(atelier.task(&id).tool_results().await[1]["stdout"], "one\n");
    let own = atelier.task(&id).log("turns/3/diff.patch").await;
    assert!(own.contains("+three") && !own.contains("+one"), "{own}");
}

#[tokio::test]
async fn a_task_that_never_reached_the_agent_begins_with_both_instructions() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = |script: &str| Zip::new().file("a", "a").executable("setup.sh", script);
    let id = atelier.submit_zip(setup("#!/bin/sh\nexit 3\n"), "First of all.", &[]).await.id;
    atelier.task(&id).failed("setup_failed").await;
    let upload = atelier.data_dir().join(format!("tasks/{id}/upload.zip"));
    std::fs::write(upload, setup("#!/bin/sh\ntrue\n").bytes()).unwrap();

    model.will(Reply::text("Done."));
    tell(&atelier, &id, "Try again.").await;
    completed(&atelier, &id, 2).await;

    let said = model.received()[0].body["messages"].to_string();
    assert!(said.find("First of all.").unwrap() < said.find("Try again.").unwrap(), "{said}");
}

#[tokio::test]
async fn a_task_of_which_too_little_is_kept_says_so() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace"));
    model.will(Reply::text("One."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier.task(&id).completed().await;
    let folder = atelier.data_dir().join("tasks").join(&id);
    std::fs::remove_dir_all(folder.join("changes")).unwrap();
    let refused: Value = say(&atelier, &id, &json!({ "text": "More." })).await.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("its changes are kept no longer"), "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
    let refused: Value = say(&atelier, &id, &json!({ "text": "More." })).await.json().await.unwrap();
    assert_eq!(refused["status"], 409);
    assert!(refused["detail"].as_str().unwrap().contains("archive it began with is kept no longer"), "{refused}");
    assert_eq!(atelier.task(&id).now().await["status"], "completed");
}
