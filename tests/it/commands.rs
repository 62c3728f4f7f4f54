//! The command line against a server by URL and token.

use std::{path::Path, process::Output};

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Zip, leap_year},
    model_server::{ModelServer, Reply},
    terminal::{atelier_with, short_folder, text},
};

/// A terminal somewhere else: all it knows is the address and a token.
struct Terminal<'a> {
    folder: &'a Path,
    server: String,
    token: String,
}

impl<'a> Terminal<'a> {
    fn of(atelier: &Atelier, folder: &'a Path) -> Self {
        Self { folder, server: atelier.url(""), token: atelier.token().to_owned() }
    }

    async fn runs(&self, arguments: &[&str]) -> Output {
        let environment = [("ATELIER_SERVER", self.server.as_str()), ("ATELIER_TOKEN", self.token.as_str())];
        atelier_with(self.folder, arguments, &environment).await
    }

    async fn says(&self, arguments: &[&str]) -> String {
        let ran = self.runs(arguments).await;
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {}", text(&ran.stderr));
        text(&ran.stdout)
    }

    async fn says_json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat()).await).unwrap()
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let names = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
    let ran = std::process::Command::new("git").args(names).args(arguments).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "git {arguments:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

/// A working copy of the sample, with everything committed.
fn working_copy(folder: &Path) {
    Zip::new().folder(&leap_year()).unpack(folder);
    git(folder, &["init", "--quiet"]);
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "Begin"]);
}

#[tokio::test]
async fn a_task_is_submitted_watched_and_its_patch_put_onto_the_working_copy() {
    let atelier = Atelier::start_with(Settings::new().set("agent.model", "scripted/leap-year")).await;
    let folder = short_folder();
    let copy = folder.path().join("copy");
    working_copy(&copy);
    let terminal = Terminal::of(&atelier, &copy);

    let submitted = terminal.runs(&["submit", "--repo", ".", "--task", "Mend the tests."]).await;
    let id = text(&submitted.stdout).trim().to_owned();
    assert!(text(&submitted.stderr).contains(&format!("/tasks/{id}")), "{}", text(&submitted.stderr));

    let followed = terminal.runs(&["logs", "-f", &id]).await;
    assert_eq!(followed.status.code(), Some(0), "{}", text(&followed.stderr));
    assert!(text(&followed.stderr).contains("python3 -m pytest -q → exit 0"), "{}", text(&followed.stderr));

    let shown = terminal.says(&["show", &id]).await;
    for word in ["status       completed", "Mend the tests.", "2 files", "What was wrong", "diff.patch", "setup.log"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let listed = terminal.says(&["list", "--status", "completed"]).await;
    assert!(listed.lines().count() == 1 && listed.starts_with(&id) && listed.contains("Mend the tests."), "{listed}");
    assert_eq!(terminal.says_json(&["list"]).await["tasks"][0]["id"], id.as_str());
    assert_eq!(terminal.says_json(&["show", &id]).await["status"], "completed");
    assert!(terminal.says(&["logs", &id, "setup.log"]).await.contains("pytest"));
    let events = terminal.says(&["logs", &id, "--json"]).await;
    let kinds: Vec<Value> = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(kinds.last().unwrap()["status"], "completed");

    let patch = terminal.says(&["diff", &id]).await;
    assert!(patch.starts_with("diff --git "), "{patch}");
    // From a folder further down too.
    let below = copy.join("tests");
    let from_below = Terminal::of(&atelier, &below);
    from_below.says(&["apply", &id, "--check"]).await;
    assert_eq!(git(&copy, &["status", "--porcelain"]), "");
    from_below.says(&["apply", &id]).await;
    let changed = git(&copy, &["diff", "--stat"]);
    assert!(changed.contains("calendar_tools/leap.py") && changed.contains("2 files changed"), "{changed}");

    let again = terminal.runs(&["apply", &id, "--json"]).await;
    assert_eq!(again.status.code(), Some(1), "it is there already");
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap()["applied"], false);
}

#[tokio::test]
async fn a_log_that_grows_is_followed_and_a_task_is_cancelled_and_started_again() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({ "command": "sleep 100" })));
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let folder = short_folder();
    let terminal = Terminal::of(&atelier, folder.path());
    let setup = "for n in 1 2 3 4 5; do echo line $n; sleep 0.3; done\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Wait.", &[]).await;

    let follow = ["logs", task.id.as_str(), "setup.log", "--follow"];
    let (followed, cancelled) = tokio::join!(terminal.runs(&follow), async {
        task.wait_until("a command runs", |task| task["steps"] == 1).await;
        terminal.runs(&["cancel", &task.id]).await
    });
    assert_eq!(cancelled.status.code(), Some(0), "{}", text(&cancelled.stderr));
    assert_eq!(followed.status.code(), Some(3), "cancelled: {}", text(&followed.stderr));
    let log = text(&followed.stdout);
    assert!((1..=5).all(|n| log.matches(&format!("line {n}\n")).count() == 1), "each line once: {log}");

    let retried = terminal.says(&["retry", &task.id]).await;
    assert_ne!(retried.trim(), task.id);
    atelier.task(retried.trim()).completed().await;
    let told = terminal.runs(&["logs", retried.trim()]).await;
    assert!(text(&told.stderr).contains("● completed"), "{}", text(&told.stderr));
}

#[tokio::test]
async fn what_does_not_work_is_one_line_that_says_what_to_do() {
    let atelier = Atelier::start().await;
    let folder = short_folder();
    let mut terminal = Terminal::of(&atelier, folder.path());
    let complaint = async |terminal: &Terminal<'_>, arguments: &[&str]| {
        let ran = terminal.runs(arguments).await;
        let complaint = text(&ran.stderr);
        assert_eq!((ran.status.code(), complaint.lines().count()), (Some(4), 1), "{complaint}");
        complaint
    };

    let id = "20261120_aaaaaaaaaaaa";
    assert!(complaint(&terminal, &["show", id]).await.contains("no task with this id"));
    assert!(complaint(&terminal, &["list", "--server", "ftp://x"]).await.contains("https://host"));
    assert!(complaint(&terminal, &["list", "--server", "http://a:b@127.0.0.1"]).await.contains("ATELIER_TOKEN"));
    assert!(complaint(&terminal, &["list", "--server", "http://127.0.0.1:9"]).await.contains("no server answers"));
    terminal.token = "wrong-token-of-nobody".to_owned();
    assert!(complaint(&terminal, &["list"]).await.contains("Log in first"));
    terminal.token = String::new();
    assert!(complaint(&terminal, &["list"]).await.contains("wants a token"));
    terminal.server = String::new();
    assert!(complaint(&terminal, &["list", "--data-dir", "d"]).await.contains("atelier serve"));
    // Without any of it, the server of this machine.
    let data_dir = atelier.data_dir().display().to_string();
    assert_eq!(terminal.says_json(&["list", "--data-dir", &data_dir]).await["tasks"], json!([]));
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let folder = short_folder();
    let run = async |arguments: &[&str]| {
        let ran = atelier_with(folder.path(), arguments, &[]).await;
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stdout)
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).await;
        for command in ["submit", "list", "show", "logs", "diff", "apply", "cancel", "retry", "serve", "run"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = run(&["man"]).await;
    assert!(page.starts_with(".ie") && page.contains("Exit codes"), "{page}");
    run(&["man", "--dir", "man"]).await;
    for name in ["atelier.1", "atelier-submit.1", "atelier-apply.1"] {
        assert!(folder.path().join("man").join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn r56_a_task_is_shared_from_the_command_line_until_it_is_revoked() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await;
    task.completed().await;
    let folder = short_folder();
    let terminal = Terminal::of(&atelier, folder.path());
    let opens = async |link: &str| reqwest::get(link).await.unwrap().status().as_u16();

    let whole = terminal.says(&["share", &task.id]).await;
    let log = terminal.says(&["share", &task.id, "--only", "setup.log", "--forever"]).await;
    let diff = terminal.says_json(&["share", &task.id, "--only", "diff", "--days", "1"]).await;
    for link in [whole.trim(), log.trim(), diff["url"].as_str().unwrap()] {
        assert_eq!(opens(link).await, 200, "{link}");
    }
    let listed = terminal.says(&["share", &task.id, "--list"]).await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let of_log = listed.lines().find(|line| line.contains("setup.log")).unwrap();
    assert!(of_log.contains("until revoked"), "{listed}");
    assert!(!listed.contains("/s/"), "a link is told once: {listed}");

    let id = of_log.split_whitespace().next().unwrap();
    terminal.says(&["share", &task.id, "--revoke", id]).await;
    assert_eq!((opens(log.trim()).await, opens(whole.trim()).await), (404, 200));
    let refused = terminal.runs(&["share", &task.id, "--only", "no-such.log"]).await;
    assert_eq!(refused.status.code(), Some(4));
    assert!(text(&refused.stderr).contains("no such file"), "{}", text(&refused.stderr));
}
