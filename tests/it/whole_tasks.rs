//! Whole tasks, from submit to patch: real Docker, real git, a model on loopback.

use std::path::Path;

use serde_json::json;

use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, Zip, apply_patch, commit_all, leap_year},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn a_zip_with_a_failing_test_ends_in_a_patch_that_mends_it() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["diff"]["files"], 2, "{ended:#}");
    assert!(ended["summary"].as_str().unwrap().contains("year"), "{ended:#}");
    assert!(task.log("setup.log").await.contains("pytest"));
    let clean = tempfile::tempdir().unwrap();
    Zip::new().folder(&leap_year()).unpack(clean.path());
    assert!(!python_tests_pass(clean.path()));
    apply_patch(clean.path(), &task.patch().await);
    assert!(python_tests_pass(clean.path()));
}

#[tokio::test]
async fn a_repository_over_http_ends_in_a_patch_that_applies() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("greeter");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join("greeting.txt"), "Helo, world\n").unwrap();
    commit_all(&repository);
    let git = GitServer::start(folder.path()).await;
    let model = ModelServer::start().await;
    model.will(Reply::text("I look.").tool_call("run_command", json!({"command": "git log --oneline; ls"})));
    model.will(
        Reply::text("A typo.")
            .tool_call("edit_file", json!({"file_path": "greeting.txt", "old_text": "Helo", "new_text": "Hello"})),
    );
    model.will(Reply::text("The greeting was misspelt; it is right now.").usage(100, 20, 10));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url()).allow_host("127.0.0.1")).await;
    let task = atelier.submit_git(&git.url("greeter"), "Mend the typo.").await;

    let ended = task.completed().await;

    assert_eq!(ended["summary"], "The greeting was misspelt; it is right now.");
    assert_eq!(ended["steps"], 3);
    assert!(task.tool_results().await[0]["stdout"].as_str().unwrap().contains("start"));
    apply_patch(&repository, &task.patch().await);
    assert_eq!(std::fs::read_to_string(repository.join("greeting.txt")).unwrap(), "Hello, world\n");
}

#[tokio::test]
async fn a_task_that_changes_nothing_completes_with_an_empty_patch_and_its_explanation() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Nothing is wrong here."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a.txt", "a"), "Is anything wrong?", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["diff"], json!({"files": 0, "insertions": 0, "deletions": 0}));
    assert_eq!(task.patch().await, b"");
    assert_eq!(task.log("explanation.md").await, "Nothing is wrong here.");
}

#[tokio::test]
async fn any_image_with_a_shell_will_do() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "test -d /etc/ssl/certs || echo bare"})));
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("image", "debian:bookworm-slim")]).await;
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["returncode"], 0);
}

fn python_tests_pass(folder: &Path) -> bool {
    // The sample's tests are plain functions; no pytest is needed on the machine that runs this.
    let line = "python3 - <<'END'\n\
                import importlib, inspect, sys\n\
                sys.dont_write_bytecode = True\n\
                sys.path.insert(0, '.')\n\
                from calendar_tools import leap\n\
                sys.exit(0 if leap.is_leap_year(2000) and not leap.is_leap_year(1900) else 1)\n\
                END";
    let status = std::process::Command::new("sh").args(["-c", line]).current_dir(folder).status().unwrap();
    status.success()
}
