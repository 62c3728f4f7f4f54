//! The command line: one task with or without a server, the demo, the doctor.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::harness::{Atelier, Settings, Zip, apply_patch, leap_year};

/// Runs the program in a folder of its own and waits for it, off the async threads.
async fn atelier(folder: &Path, arguments: &[&str]) -> Output {
    atelier_with(folder, arguments, &[]).await
}

pub(crate) async fn atelier_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    // Nobody's key is spent by a test.
    for name in ["DOCKER_HOST", "ATELIER_LOG", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "DEEPSEEK_API_KEY"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A data directory whose path is short enough for sockets.
pub(crate) fn short_folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("at").tempdir_in("/tmp").unwrap()
}

#[tokio::test]
async fn run_needs_no_server_and_prints_the_patch_alone_on_stdout() {
    let folder = short_folder();
    let source = leap_year().display().to_string();
    let ran = atelier(folder.path(), &["run", "--data-dir", "d", "--repo", &source, "--task", "Mend the tests."]).await;

    let progress = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{progress}");
    for word in ["fetch the source", "python3 -m pytest -q → exit 0", "2 files changed", "What was wrong", "logs in"]
    {
        assert!(progress.contains(word), "{word}: {progress}");
    }
    let clean = folder.path().join("clean");
    Zip::new().folder(&leap_year()).unpack(&clean);
    apply_patch(&clean, &ran.stdout);
    assert!(std::fs::read_to_string(clean.join("calendar_tools/leap.py")).unwrap().contains("% 400"));
}

#[tokio::test]
async fn run_uses_the_server_that_is_there_and_its_exit_code_tells_the_outcome() {
    let server = Atelier::start_with(Settings::new().set("agent.setup_timeout_s", 1)).await;
    let folder = short_folder();
    std::fs::write(folder.path().join("setup.sh"), "sleep 1d\n").unwrap();
    let data_dir = server.data_dir().display().to_string();
    let ran = atelier(folder.path(), &["run", "--data-dir", &data_dir, "--repo", ".", "--task", "Go."]).await;

    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("setup_timeout"));
    assert!(ran.stdout.is_empty());
    assert_eq!(server.get_json("/api/tasks").await["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_demo_plays_without_a_key() {
    let folder = short_folder();
    let ran = atelier(folder.path(), &["demo", "--once", "--data-dir", "d", "--model", "scripted/leap-year"]).await;
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("+    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)"));
}

#[tokio::test]
async fn the_doctor_names_what_is_missing_and_how_to_mend_it() {
    let folder = short_folder();
    let healthy = atelier(folder.path(), &["doctor", "--data-dir", "d"]).await;
    assert_eq!(healthy.status.code(), Some(0), "{}", text(&healthy.stdout));

    std::fs::write(folder.path().join("c.toml"), "[sandbox]\ndocker_host = 'unix:///nowhere.sock'\n").unwrap();
    let ill = atelier(folder.path(), &["doctor", "--data-dir", "d", "--config", "c.toml"]).await;
    assert_eq!(ill.status.code(), Some(1));
    let report = text(&ill.stdout);
    assert!(report.contains("MISSING  docker") && report.contains("systemctl start docker"), "{report}");
}

#[tokio::test]
async fn wrong_settings_are_one_line_that_names_them() {
    let folder = short_folder();
    std::fs::write(folder.path().join("c.toml"), "[agent]\nmax_stepz = 3\n").unwrap();
    let ran = atelier(folder.path(), &["serve", "--data-dir", "d", "--config", "c.toml"]).await;
    assert_eq!(ran.status.code(), Some(4));
    let message = text(&ran.stderr);
    assert!(message.contains("max_stepz") && message.lines().count() == 1, "{message}");
}

#[tokio::test]
async fn a_run_without_docker_says_at_once_that_it_cannot() {
    let folder = short_folder();
    std::fs::write(folder.path().join("c.toml"), "[sandbox]\ndocker_host = 'unix:///nowhere.sock'\n").unwrap();
    std::fs::write(folder.path().join("a.zip"), Zip::new().file("a", "a").bytes()).unwrap();
    let arguments = ["run", "--repo", "a.zip", "--task", "Go.", "--data-dir", "d", "--config", "c.toml"];
    let ran = atelier(folder.path(), &arguments).await;
    assert_eq!(ran.status.code(), Some(4));
    assert!(text(&ran.stderr).contains("/nowhere.sock does not answer"), "{}", text(&ran.stderr));
}
