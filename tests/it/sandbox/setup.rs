//! How `setup.sh` can end.

use super::{running, stdout};
use crate::harness::{Atelier, Settings, Zip};

#[tokio::test]
async fn r38_setup_that_fails_ends_the_task_with_its_last_words() {
    let atelier = Atelier::start().await;
    let setup = "#!/bin/sh\necho 'no such package: frobnicator'\nexit 3\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    let ended = task.failed("setup_failed").await;
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("exit code 3") && message.contains("no such package: frobnicator"), "{message}");
    assert_eq!(ended["stage"], "setup", "the stage it broke off in");
}

#[tokio::test]
async fn r38_setup_without_end_is_ended_at_its_limit() {
    let atelier = Atelier::start_with(Settings::new().set("agent.setup_timeout_s", 1)).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d\n"), "Go.", &[]).await;
    let ended = task.failed("setup_timeout").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("setup_timeout_s"), "{ended}");
}

#[tokio::test]
async fn r38_setup_that_lost_its_executable_bit_runs_all_the_same() {
    let (atelier, _model) = running(&["cat made"], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().file("setup.sh", "echo made by setup > made\n"), "Look.", &[]).await;
    let ended = task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "made by setup\n");
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("not executable"));
    assert_eq!(ended["diff"]["files"], 0, "what setup made is no work of the agent");
}

#[tokio::test]
async fn r38_setup_that_floods_its_log_is_cut_and_ended() {
    let atelier = Atelier::start_with(Settings::new().set("agent.setup_timeout_s", 3)).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nyes\n"), "Go.", &[]).await;
    task.failed("setup_timeout").await;
    let log = std::fs::metadata(atelier.data_dir().join(format!("logs/{}/setup.log", task.id))).unwrap();
    assert!(log.len() < 21 * 1024 * 1024, "{} bytes", log.len());
}

#[tokio::test]
async fn r38_what_cannot_be_started_says_why() {
    let atelier = Atelier::start().await;
    let windows = Zip::new().executable("setup.sh", "#!/bin/sh\r\necho hello\r\n");
    let binary = Zip::new().entry("setup.sh", b"\x00\x01\x02\xff not a program", 0o755);
    for (zip, hint) in [(windows.bytes(), "Windows line ends"), (binary.bytes(), "exit code 127")] {
        let task = atelier.submit_zip_bytes(zip, "Go.", &[]).await;
        let ended = task.failed("setup_failed").await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains(hint), "{message}");
    }
}

#[tokio::test]
async fn r33_setup_that_says_nothing_is_ended_as_silent() {
    let atelier = Atelier::start_with(Settings::new().set("agent.no_output_timeout_s", 2)).await;
    let setup = "#!/bin/sh\necho still here; sleep 1; echo still here; sleep 1; echo and here; sleep 1d\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    let ended = task.failed("no_output").await;
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("no_output_timeout_s") && message.contains("and here"), "{message}");
}

#[tokio::test]
async fn a_service_that_setup_leaves_with_its_output_open_holds_nothing_up() {
    let settings = Settings::new().set("agent.setup_timeout_s", 20).set("agent.no_output_timeout_s", 10);
    let (atelier, _model) = running(&["true"], settings).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d &\n"), "Go.", &[]).await;
    task.completed().await;
}

#[tokio::test]
async fn another_agent_program_begins_after_setup() {
    let settings = Settings::new().set("agent.command", vec!["sh", "-c", "cat made; ls /sys/class/net"]);
    let atelier = Atelier::start_with(settings).await;
    let zip = Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1; echo made by setup > made\n");
    let task = atelier.submit_zip(zip, "Go.", &[]).await;
    task.failed("agent_exited").await;
    let log = task.log("agent.log").await;
    assert!(log.contains("made by setup\nlo\n"), "{log}");
}
