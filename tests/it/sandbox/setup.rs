//! How `setup.sh` can end.

use super::{running, stdout};
use crate::harness::{Atelier, Settings, Zip};

#[tokio::test]
async fn setup_that_fails_ends_the_task_with_its_last_words() {
    let atelier = Atelier::start().await;
    let setup = "#!/bin/sh\necho 'no such package: frobnicator'\nexit 3\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    let ended = task.failed("setup_failed").await;
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("exit code 3") && message.contains("no such package: frobnicator"), "{message}");
    assert_eq!(ended["stage"], "setup", "the stage it broke off in");
}

#[tokio::test]
async fn setup_without_end_is_ended_at_its_limit() {
    let atelier = Atelier::start_with(Settings::new().set("agent.setup_timeout_s", 1)).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d\n"), "Go.", &[]).await;
    let ended = task.failed("setup_timeout").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("setup_timeout_s"), "{ended}");
}

#[tokio::test]
async fn setup_that_lost_its_executable_bit_runs_all_the_same() {
    let (atelier, _model) = running(&["cat made"], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().file("setup.sh", "echo made by setup > made\n"), "Look.", &[]).await;
    let ended = task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "made by setup\n");
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("not executable"));
    assert_eq!(ended["diff"]["files"], 0, "what setup made is no work of the agent");
}
