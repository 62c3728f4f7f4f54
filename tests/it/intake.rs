//! Which source a task works on, and how a submission that is wrong is refused.

use serde_json::json;

use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, commit_all},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn a_ref_is_checked_out_and_one_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("r");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join("version"), "one\n").unwrap();
    commit_all(&repository);
    crate::harness::sh(&repository, "git tag v1 && git branch next");
    let git = GitServer::start(folder.path()).await;
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "cat version"})));
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url()).allow_host("127.0.0.1")).await;

    let source = json!({"git_url": git.url("r"), "git_ref": "v1"});
    let task = atelier.submit(&json!({"source": source, "task": "Look."})).await;
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "one\n");

    let source = json!({"git_url": git.url("r"), "git_ref": "no-such-branch"});
    let task = atelier.submit(&json!({"source": source, "task": "Look."})).await;
    let ended = task.failed("clone_failed").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no-such-branch"), "{ended}");
}

#[tokio::test]
async fn json_that_is_wrong_is_refused_by_the_name_of_the_field() {
    let atelier = Atelier::start().await;
    let source = json!({"git_url": "https://example.org/a/b"});
    for (body, word) in [
        (json!({"task": "Go."}), "source"),
        (json!({"source": source, "task": "  "}), "say what is to be done"),
        (json!({"source": source, "task": "Go.", "colour": "red"}), "colour"),
        (json!({"source": source, "task": "Go.", "mode": "pr"}), "[forge.NAME]"),
        (json!({"source": source, "task": "Go.", "model": "nobody/x"}), "nobody"),
        (json!({"source": source, "task": "Go.", "limits": {"max_step": 1}}), "max_step"),
    ] {
        let response = atelier.post_json("/api/tasks", &body).await;
        assert_eq!(response.status(), 422, "{body}");
        let problem = response.text().await.unwrap();
        assert!(problem.contains(word), "{body}: {problem}");
    }
    atelier.kept_nothing().await;
}
