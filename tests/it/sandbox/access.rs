//! Which image, and what of the code the agent may write.

use std::{os::unix::fs::MetadataExt, path::Path};

use serde_json::{Value, json};

use super::{running, stdout};
use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::Reply,
};

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("image", "no-such-image:1")]).await;
    let ended = task.failed("image_missing").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no-such-image:1"));
}

#[tokio::test]
async fn r37_only_images_on_the_list_are_taken_also_when_a_task_is_started_again() {
    let settings = Settings::new().set("sandbox.allowed_images", vec!["debian:bookworm-*"]);
    let mut atelier = Atelier::start_with(settings).await;
    let source = json!({"git_url": "https://example.org/x"});
    let submission = json!({"source": source, "task": "Go.", "image": "evil:latest"});
    let refused = atelier.post_json("/api/tasks", &submission).await;
    assert_eq!(refused.status(), 422);
    let problem: Value = refused.json().await.unwrap();
    let errors = problem["errors"].as_array().unwrap();
    let of_image = errors.iter().find(|error| error["field"] == "image").unwrap();
    assert_eq!(of_image["kind"], "image_not_allowed");
    assert!(of_image["message"].as_str().unwrap().contains("[sandbox] allowed_images"), "{problem}");

    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("image", "debian:bookworm-slim")]).await;
    task.ended().await;
    let again = format!("/api/tasks/{}/retry", task.id);
    let unlist = |data: &Path| {
        let file = data.with_file_name("config.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("debian:bookworm-*", "debian:trixie-*")).unwrap();
    };
    atelier.change_while_stopped(unlist).await;
    assert_eq!(atelier.post_json(&again, &json!({})).await.status(), 422);
    atelier.submit_zip(Zip::new().file("a", "a"), "In the configured one.", &[]).await.ended().await;
}

#[tokio::test]
async fn analyze_reads_but_cannot_write_the_code() {
    let with_setup = Zip::new().file("a", "read me").executable("setup.sh", "#!/bin/sh\necho made > made\n");
    for source in [Zip::new().file("a", "read me").bytes(), with_setup.bytes()] {
        let (atelier, model) = running(&["cat a; touch b || touch a"], Settings::new()).await;
        model.will(Reply::text("See a:1."));
        let task = atelier.submit_zip_bytes(source, "Explain.", &[("mode", "analyze")]).await;
        let ended = task.completed().await;
        let result = task.tool_results().await[0].clone();
        assert_eq!(stdout(&result), "read me");
        assert_ne!(result["returncode"], 0, "{result}");
        assert_eq!(ended["diff"]["files"], 0);
    }
}

#[tokio::test]
async fn r39_the_workspace_never_belongs_to_the_server_while_the_agent_works() {
    let (atelier, _model) =
        running(&["touch made; until [ -e /app/output/go ]; do sleep 0.05; done"], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await;
    let folder = atelier.data_dir().join(format!("tasks/{}", task.id));
    task.wait_until("the file of the command", |_| folder.join("code/made").exists()).await;
    let own = std::fs::metadata(folder.parent().unwrap()).unwrap().uid();
    for path in ["code", "code/a", "code/made", "output"] {
        let owner = folder.join(path).metadata().unwrap().uid();
        assert!(owner != own && owner == 10001, "{path} belongs to {owner}");
    }
    std::fs::write(folder.join("output/go"), "").unwrap();
    task.completed().await;
}
