//! The machine itself restarted: the containers are gone as well, the disk is not.

use super::{mentions, notes, run, wait_for};
use crate::{
    harness::{Atelier, Settings, Zip, containers_of, sh},
    model_server::{ModelServer, Reply},
};

/// Ends every container as a machine that goes down does.
fn lose_containers(atelier: &Atelier) {
    for container in containers_of(atelier.instance()) {
        sh("/".as_ref(), &format!("docker kill {container}"));
    }
}

#[tokio::test]
async fn f26_the_conversation_goes_on_in_a_new_container_and_no_call_is_made_twice() {
    let model = ModelServer::start().await;
    model.will(run("echo one >> trace"));
    model.will(run("echo two >> trace; sleep 30"));
    model.will(run("cat trace"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let trace = atelier.data_dir().join(format!("tasks/{id}/code/trace"));
    wait_for("the second command", || std::fs::read(&trace).is_ok_and(|trace| trace == b"one\ntwo\n")).await;

    atelier.kill();
    lose_containers(&atelier);
    atelier.start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    let results = task.tool_results().await;
    let told = results[1]["message"].as_str().unwrap();
    assert!(
        told.contains("was restarted and the container is a new one") && results[1]["status"] == "failure",
        "{told}"
    );
    assert_eq!(results[2]["stdout"], "one\ntwo\n");
    assert_eq!(model.received().len(), 4, "no question was asked twice");
    assert_eq!(mentions(&notes(&task).await, "new container (attempt 2 of 3)"), 1);
}

#[tokio::test]
async fn f26_setup_runs_again_without_the_work_of_the_agent_near_it() {
    let model = ModelServer::start().await;
    // What setup would run with a network if it found it.
    model.will(run("echo 'touch /tmp/evil' >> setup.sh; echo mine > mine; echo changed > source; cp built copied"));
    model.will(Reply::hang());
    model.will(run("ls /tmp/evil /opt/tool; ls; cat source seen; ls /sys/class/net"));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = "#!/bin/sh\necho tool > /opt/tool\nls > seen\ncat source >> seen\ndate +%N > built\n";
    let zip = Zip::new().executable("setup.sh", setup).file("source", "source\n");
    let id = atelier.submit_zip(zip, "Run.", &[]).await.id;
    wait_for("the second question", || model.received().len() == 2).await;
    let folder = atelier.data_dir().join(format!("tasks/{id}"));
    let built = std::fs::read(folder.join("code/built")).unwrap();

    atelier.kill();
    lose_containers(&atelier);
    atelier.start_again().await;

    let task = atelier.task(&id);
    wait_for("the question again", || model.received().len() >= 3).await;
    assert_eq!(std::fs::read(folder.join("code/built")).unwrap(), built, "what the first setup made is kept");
    task.completed().await;
    let results = task.tool_results().await;
    let (out, err) = (results[1]["stdout"].as_str().unwrap(), results[1]["stderr"].as_str().unwrap());
    assert!(err.contains("/tmp/evil") && out.starts_with("/opt/tool\n"), "{out}{err}");
    let files = "built\ncopied\nmine\nseen\nsetup.sh\nsource\n";
    assert_eq!(out, format!("/opt/tool\n{files}changed\nseen\nsetup.sh\nsource\nsource\nlo\n"));
    let patch = String::from_utf8(task.patch().await).unwrap();
    assert!(patch.contains("+changed") && patch.contains("+mine") && !patch.contains("/built"), "{patch}");
    assert!(task.log("agent.log").await.lines().count() >= 4, "the log of both containers");
}
