//! The server runs the checks itself, on a clean copy with the patch: what is shown was seen, whatever the agent says or leaves.

mod broken_off;

use serde_json::{Value, json};

use crate::{
    forges::{Forge, Kind},
    git_server::GitServer,
    harness::{Atelier, Settings, Task, Zip, commit_all},
    model_server::{ModelServer, Reply},
    terminal::{atelier_with, short_folder, text},
};

/// A server whose model has this run in one command, and then claims that all is well, however often it is sent back.
async fn server(settings: Settings, command: &str) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    let command = command.to_owned();
    model.plays(move |request| {
        let messages = request.body["messages"].as_array().unwrap();
        match messages.iter().filter(|message| message["role"] == "assistant").count() {
            0 => Reply::text("").tool_call("run_command", json!({ "command": command })).into(),
            _ => Reply::text("Done; all tests pass.").into(),
        }
    });
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

fn checks(commands: &[&str]) -> Settings {
    Settings::new().set("checks.commands", commands.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Command and status of each.
fn seen(task: &Value) -> Vec<(&str, &str)> {
    let checks = task["checks"].as_array().unwrap().iter();
    checks.map(|check| (check["command"].as_str().unwrap(), check["status"].as_str().unwrap())).collect()
}

async fn page(atelier: &Atelier, task: &Task<'_>) -> String {
    atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap()
}

#[tokio::test]
async fn what_passes_and_what_fails_is_seen_by_the_server_with_its_log() {
    let (atelier, model) = server(checks(&["grep old a"]), "echo new > a; echo more > b").await;
    let agents = "## Checks\n```sh\ncat b\ngrep new a\n```\n";
    let zip = Zip::new().file("a", "old\n").file("AGENTS.md", agents);
    let task = atelier.submit_zip(zip, "Make it new.", &[("checks", "grep new a\r\n\r\nls -A")]).await;

    let ended = task.completed().await;

    let expected = [("grep new a", "passed"), ("ls -A", "passed"), ("cat b", "passed"), ("grep old a", "failed")];
    assert_eq!(seen(&ended), expected);
    let origins: Vec<_> = ended["checks"].as_array().unwrap().iter().map(|check| check["origin"].clone()).collect();
    assert_eq!(json!(origins), json!(["task", "task", "agents_md", "configuration"]));
    let failed = &ended["checks"][3];
    assert_eq!((&failed["exit_code"], &failed["claimed"]["status"]), (&json!(1), &json!("not_run")));
    assert!(failed["seconds"].as_f64().unwrap() > 0.0, "{failed}");
    assert_eq!(ended["verification"]["verdict"], "failed");
    assert_eq!(task.log("checks/3.log").await, "more\n");
    assert_eq!(task.log("checks/2.log").await, "AGENTS.md\na\nb\n", "nothing but the source and the patch");
    assert!(failed["log"].as_str().unwrap().ends_with("/checks/4.log"), "{failed}");
    let told = model.received()[0].body["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(told.contains("grep new a\nls -A\ncat b\ngrep old a\n</checks>"), "{told}");

    let stages: Vec<_> = task.events_of("stage").await.into_iter().map(|event| event["stage"].clone()).collect();
    assert_eq!(json!(stages), json!(["fetch", "setup", "agent", "collect", "verify", "clean_up"]));
    assert_eq!(task.events_of("verified").await.len(), 4);
    let page = page(&atelier, &task).await;
    for words in
        ["Run by the server: 3 passed, 1 failed", "the agent claims: not run", "checks/3.log", "from AGENTS.md"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let diff = atelier.get(&format!("/tasks/{}/diff", task.id)).await.text().await.unwrap();
    assert!(diff.contains("Run by the server: 3 passed, 1 failed"), "{diff}");
}

#[tokio::test]
async fn an_agent_that_lies_is_found_out() {
    // It passes in its own container: by a program in its home, a file that git ignores, and rules that ask for less.
    let lie = "printf '#!/bin/sh\\nexit 0\\n' > ~/verdict; chmod +x ~/verdict; cp ~/verdict /tmp/verdict; \
               echo yes > local.txt; printf '## Checks\\n```sh\\ntrue\\n```\\n' > AGENTS.md; \
               printf '#!/bin/sh\\ntouch by-setup-of-the-agent\\n' > setup.sh; echo new > a; \
               ~/verdict && test -e local.txt";
    let agents = "## Checks\n```sh\n~/verdict\n/tmp/verdict\ngrep yes local.txt\ntest -e by-setup-of-the-agent\nid -u\n\
                  test $(id -u) -ge 1000\n```\n";
    let (atelier, _model) = server(Settings::new(), lie).await;
    let zip = Zip::new()
        .file("a", "old\n")
        .file(".gitignore", "local.txt\n")
        .executable("setup.sh", "#!/bin/sh\ntrue\n")
        .file("AGENTS.md", agents);
    let task = atelier.submit_zip(zip, "Make it new.", &[]).await;

    let ended = task.completed().await;

    assert!(String::from_utf8(task.patch().await).unwrap().contains("+true"), "the patch weakens the rules");
    let statuses: Vec<_> = seen(&ended).into_iter().map(|(_, status)| status).take(4).collect();
    assert_eq!(statuses, ["failed"; 4], "{ended:#}");
    assert_eq!(seen(&ended)[5].1, "passed", "{ended:#}");
    assert_ne!(task.log("checks/5.log").await, "0\n");
    assert_eq!(ended["checks"].as_array().unwrap().len(), 6, "its own AGENTS.md counts for nothing");
}

#[tokio::test]
async fn what_setup_made_is_there_and_the_network_is_not() {
    let setup = "#!/bin/sh\nmkdir -p deps; echo library > deps/lib; echo tool > /opt/tool; echo $PPID > deps/who\n\
                 ls /sys/class/net\n";
    let reach = "! (exec 3<>/dev/tcp/1.1.1.1/53) 2>/dev/null";
    let commands =
        ["cat deps/lib /opt/tool a", "test \"$(ls /sys/class/net)\" = lo", reach, "test ! -e /run/atelier/step.sock"];
    let (atelier, _model) = server(checks(&commands), "echo new > a; rm -rf deps").await;
    let zip = Zip::new().file("a", "old\n").file(".gitignore", "deps\n").executable("setup.sh", setup);
    let task = atelier.submit_zip(zip, "Make it new.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["verification"]["verdict"], "passed", "{ended:#}");
    assert_eq!(task.log("checks/1.log").await, "library\ntool\nnew\n");
    assert!(task.log("checks/setup.log").await.contains("eth0"), "setup has its network both times");
    assert!(ended["verification"]["prepared_seconds"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_clean_copy_that_cannot_be_made_is_told_and_nothing_is_called_passed() {
    // A mirror that is gone the second time: the folder is the server's, as a repository of it would be.
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("tool");
    let zip = Zip::new().file("a", "old\n").executable("setup.sh", "#!/bin/sh\ntrue\n");
    zip.unpack(&repository);
    commit_all(&repository);
    let git = GitServer::start(folder.path()).await;
    let settings = checks(&["true"]).allow_host("127.0.0.1");
    let model = ModelServer::start().await;
    let moved = (repository.clone(), folder.path().join("gone"));
    model.plays(move |request| {
        let messages = request.body["messages"].as_array().unwrap();
        if messages.iter().any(|message| message["role"] == "assistant") {
            let _ = std::fs::rename(&moved.0, &moved.1);
            return Reply::text("Done.").into();
        }
        Reply::text("").tool_call("run_command", json!({ "command": "echo new > a" })).into()
    });
    let atelier = Atelier::start_with(settings.model("openai", &model.url())).await;
    let task = atelier.submit_git(&git.url("tool"), "Make it new.").await;

    let ended = task.completed().await;

    assert_eq!((seen(&ended), &ended["verification"]["verdict"]), (vec![("true", "not_run")], &json!("incomplete")));
    assert!(!ended["verification"]["problem"].as_str().unwrap().is_empty());
    assert!(page(&atelier, &task).await.contains("Not all of them were run."));
}

#[tokio::test]
async fn a_check_that_hangs_floods_or_leaves_daemons_harms_no_other() {
    let commands = [
        "sleep 1d & setsid sleep 2d & echo left",
        "test \"$(pgrep -c sleep)\" = 0",
        "echo begun; sleep 1h",
        "! pgrep sleep",
        "yes",
        "kill -9 -1",
        "echo fine",
    ];
    let (atelier, _model) = server(checks(&commands).set("checks.timeout_s", 3), "echo new > a").await;
    let task = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await;

    let ended = task.completed().await;

    let statuses: Vec<_> = seen(&ended).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses[..4], ["passed", "passed", "timed_out", "passed"], "{ended:#}");
    assert!(matches!(statuses[4], "timed_out" | "failed"), "{ended:#}");
    assert_eq!(statuses[5..], ["failed", "passed"], "{ended:#}");
    assert_eq!(task.log("checks/1.log").await, "left\n");
    assert!(task.log("checks/3.log").await.starts_with("begun\n\n[ended by the server: it ran longer"));
    let flood = std::fs::metadata(atelier.data_dir().join(format!("logs/{}/checks/5.log", task.id))).unwrap().len();
    assert!((1024 * 1024..4 * 1024 * 1024).contains(&flood), "{flood} bytes");
    assert_eq!(task.log("checks/7.log").await, "fine\n");
}

#[tokio::test]
async fn nothing_is_run_where_nothing_changed_or_nobody_wants_it() {
    let (atelier, _model) = server(checks(&["true"]), "true").await;
    let unchanged = atelier.submit_zip(Zip::new().file("a", "a"), "Look.", &[]).await.completed().await;
    assert_eq!((&unchanged["verification"], &unchanged["checks"][0]["status"]), (&Value::Null, &json!("not_run")));

    let (atelier, _model) = server(checks(&["true"]).set("checks.run_by", "agent"), "echo new > a; true").await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Change it.", &[]).await;
    let claimed = task.completed().await;
    assert_eq!((&claimed["verification"], &claimed["checks"][0]["status"]), (&Value::Null, &json!("not_run")));
    assert!(page(&atelier, &task).await.contains("Claimed by the agent&#39;s own runs"));
}

#[tokio::test]
async fn too_many_checks_and_long_ones_are_refused_with_the_field() {
    let atelier = Atelier::start().await;
    let submit = async |checks: Value| {
        let body = json!({"source": {"git_url": "https://example.org/a/b"}, "task": "Go.", "checks": checks});
        let refused = atelier.post_json("/api/tasks", &body).await;
        assert_eq!(refused.status(), 422);
        refused.text().await.unwrap()
    };
    for (checks, words) in [
        (json!(vec!["true"; 21]), "a task may have 20 of them"),
        (json!(["x".repeat(501)]), "at most 500 bytes"),
        (json!(["a\nb"]), "one line"),
        (json!([""]), "cannot be empty"),
    ] {
        let answer = submit(checks).await;
        assert!(answer.contains(words) && answer.contains("\"checks\""), "{answer}");
    }
}

#[tokio::test]
async fn a_pull_request_says_what_failed_or_waits_for_somebody() {
    for (when, requests) in [("always", 1), ("passed", 0)] {
        let forge = Forge::start(Kind::Gitea, &[("a", "old\n")]).await;
        let settings = forge.settings().set("checks.commands", vec!["grep old a".to_owned(), "grep new a".to_owned()]);
        let (atelier, _model) = server(settings.set("checks.pull_request", when), "echo new > a && grep new a").await;
        let body = json!({"source": {"git_url": forge.url()}, "task": "Make it new.", "mode": "pr"});
        let task = atelier.submit(&body).await;
        let ended = task.completed().await;
        assert_eq!(forge.pulls().len(), requests, "{when}: {ended:#}");
        let Some(pull) = forge.pulls().pop() else {
            assert_eq!(ended["pull_request"], Value::Null);
            assert!(page(&atelier, &task).await.contains("Open pull request"));
            continue;
        };
        for words in ["**Not all of them passed**", "- failed (exit code 1): `grep old a`; the agent claims: not run"] {
            assert!(pull.body.contains(words), "{words}: {}", pull.body);
        }
    }
}

#[tokio::test]
async fn a_shared_page_shows_the_proof_without_what_looks_like_a_secret() {
    const KEY: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let (atelier, _model) = server(checks(&["cat a"]), &format!("echo {KEY} > a")).await;
    let task = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it new.", &[]).await;
    task.completed().await;
    let made = atelier.post_json(&format!("/api/tasks/{}/shares", task.id), &json!({})).await;
    let share: Value = made.json().await.unwrap();
    let address = share["url"].as_str().unwrap();
    let shared = reqwest::get(address).await.unwrap().text().await.unwrap();
    assert!(shared.contains("Run by the server: 1 passed") && shared.contains("cat a"), "{shared}");
    assert!(!shared.contains(KEY), "{shared}");
    assert!(page(&atelier, &task).await.contains(KEY), "its owner sees what it wrote");
}

#[tokio::test]
async fn a_server_that_is_not_root_runs_them_too() {
    let setup = "#!/bin/sh\necho library > lib\n";
    let (atelier, _model) = server(checks(&["cat lib a", "touch of-a-check"]).without_root(), "echo new > a").await;
    let zip = Zip::new().file("a", "old\n").executable("setup.sh", setup);
    let task = atelier.submit_zip(zip, "Make it new.", &[]).await;
    let ended = task.completed().await;
    assert_eq!(ended["verification"]["verdict"], "passed", "{ended:#}");
    assert_eq!(task.log("checks/1.log").await, "library\nnew\n");
    assert!(!String::from_utf8(task.patch().await).unwrap().contains("of-a-check"), "checks add nothing to the result");
}

#[tokio::test]
async fn the_terminal_can_insist_on_checks() {
    let (atelier, _model) = server(Settings::new(), "echo new > a").await;
    let folder = short_folder();
    std::fs::create_dir(folder.path().join("code")).unwrap();
    std::fs::write(folder.path().join("code/a"), "old\n").unwrap();
    let data_dir = atelier.data_dir().display().to_string();
    let run = ["run", "--data-dir", &data_dir, "--repo", "code", "--task", "Make it new.", "--require-checks"];
    for (checks, code) in
        [(&["--check", "grep new a"][..], 0), (&["--check", "true", "--check", "grep old a"], 5), (&[], 5)]
    {
        let ran = atelier_with(folder.path(), &[&run, checks].concat(), &[]).await;
        assert_eq!(ran.status.code(), Some(code), "{checks:?}: {}", text(&ran.stderr));
        assert!(checks.is_empty() || text(&ran.stderr).contains("(by the server)"), "{}", text(&ran.stderr));
    }
}
