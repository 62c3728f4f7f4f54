//! From a task to a pull request: on each forge, once, also when the server is killed in between; and what may not leave.

mod further_turn;
mod hostile;
mod killed;

use serde_json::{Value, json};

use crate::{
    forges::{ALL, Forge, Kind, TOKEN},
    harness::{Atelier, Settings, Task},
    model_server::{ModelServer, Reply},
};

const LAST_WORD: &str = "Title: Mend the greeting\n\nIt said `helo`; now it says hello. See `greeting.txt:1`.";
const MEND: &str = "echo hello > greeting.txt";

/// A server whose model has one command run, and then says this.
async fn server(settings: Settings, command: &str, last_word: &str) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    let (command, last_word) = (command.to_owned(), last_word.to_owned());
    model.plays(move |request| {
        let messages = request.body["messages"].as_array().unwrap();
        match messages.iter().filter(|message| message["role"] == "assistant").count() {
            0 => Reply::text("").tool_call("run_command", json!({ "command": command })).into(),
            _ => Reply::text(&last_word).into(),
        }
    });
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

async fn forge(kind: Kind) -> Forge {
    Forge::start(kind, &[("greeting.txt", "helo\n"), ("other.txt", "one\n")]).await
}

async fn submit<'a>(atelier: &'a Atelier, forge: &Forge, mode: &str) -> Task<'a> {
    atelier.submit(&json!({ "source": { "git_url": forge.url() }, "task": "Mend the greeting.", "mode": mode })).await
}

async fn publish(atelier: &Atelier, task: &Task<'_>, body: &Value) -> reqwest::Response {
    atelier.post_json(&format!("/api/tasks/{}/pull-request", task.id), body).await
}

/// Asks for it, and waits for what it comes to.
async fn published(atelier: &Atelier, task: &Task<'_>, body: &Value) -> Value {
    let asked = publish(atelier, task, body).await;
    assert_eq!(asked.status(), 202, "{}", asked.text().await.unwrap());
    outcome(task).await
}

pub(crate) async fn outcome(task: &Task<'_>) -> Value {
    let started = std::time::Instant::now();
    loop {
        let now = task.now().await;
        let state = now["pull_request"]["state"].as_str().unwrap_or("none");
        if !matches!(state, "none" | "publishing") {
            return now["pull_request"].clone();
        }
        assert!(started.elapsed().as_secs() < 60, "publishing does not end: {now:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_task_of_mode_pr_becomes_a_branch_and_a_draft_on_every_forge() {
    for kind in ALL {
        let forge = forge(kind).await;
        // A request of somebody else is none of ours.
        forge.git(&["branch", "theirs", "main"]);
        let settings = forge
            .settings()
            .set("server.public_url", "http://127.0.0.1")
            .set("forge.mine.author_name", "Ada")
            .set("forge.mine.author_email", "ada@example.org")
            .set("checks.commands", vec!["grep hello greeting.txt".to_owned()]);
        let (atelier, _model) = server(settings, &format!("{MEND} && grep hello greeting.txt"), LAST_WORD).await;
        let task = submit(&atelier, &forge, "pr").await;
        let ended = task.completed().await;

        let branch = format!("atelier/{}", task.id);
        let known = &ended["pull_request"];
        assert_eq!(
            (&known["state"], &known["number"], &known["branch"]),
            (&json!("opened"), &json!(1), &json!(branch))
        );
        assert!(known["url"].as_str().unwrap().starts_with("https://git"), "{kind:?} {known}");
        assert_eq!(known["base"], "main");
        let pulls = forge.pulls();
        assert_eq!(pulls.len(), 1, "{kind:?}");
        let pull = &pulls[0];
        assert_eq!((&*pull.head, &*pull.base, &*pull.title, pull.draft), (&*branch, "main", "Mend the greeting", true));
        for words in [
            "It said `helo`; now it says hello.",
            "All of them passed, run by Atelier",
            "- passed: `grep hello greeting.txt`",
            "/tasks/",
        ] {
            assert!(pull.body.contains(words), "{words}: {}", pull.body);
        }
        assert!(!pull.body.contains("Title:"), "{}", pull.body);
        assert_eq!(forge.git(&["rev-parse", &format!("{branch}^")]), forge.git(&["rev-parse", "main"]));
        assert_eq!(forge.git(&["show", &format!("{branch}:greeting.txt")]), "hello");
        assert_eq!(forge.git(&["log", "-1", "--format=%an <%ae>", &branch]), "Ada <ada@example.org>");
        let message = forge.git(&["log", "-1", "--format=%B", &branch]);
        assert!(message.starts_with("Mend the greeting\n\nIt said"), "{message}");
        assert!(message.ends_with("\n\nCo-authored-by: Atelier <atelier@localhost>"), "{message}");

        let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
        assert!(page.contains(known["url"].as_str().unwrap()) && page.contains("Publish again"), "{page}");
        let stages: Vec<_> = task.events_of("stage").await.into_iter().map(|event| event["stage"].clone()).collect();
        assert_eq!(json!(stages), json!(["fetch", "setup", "agent", "collect", "verify", "publish", "clean_up"]));
        assert!(!task.log("diff.patch").await.is_empty());
    }
}

#[tokio::test]
async fn by_the_button_a_second_try_finds_branch_and_request_again() {
    for kind in ALL {
        let forge = forge(kind).await;
        let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
        let task = submit(&atelier, &forge, "modify").await;
        assert_eq!(task.completed().await["pull_request"], Value::Null);
        assert!(forge.pulls().is_empty() && forge.branches().is_empty());
        let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
        assert!(page.contains("Open pull request"), "{page}");

        let first = published(&atelier, &task, &Value::Null).await;
        let commit = forge.git(&["rev-parse", &format!("atelier/{}", task.id)]);
        let second = published(&atelier, &task, &json!({})).await;
        assert_eq!((&first, &first["state"]), (&second, &json!("opened")));
        assert_eq!((forge.pulls().len(), forge.branches().len()), (1, 1));
        assert_eq!(forge.git(&["rev-parse", &format!("atelier/{}", task.id)]), commit, "nothing new to push");

        // Its work is done: a closed request is not opened once more.
        forge.close(1);
        assert_eq!(published(&atelier, &task, &Value::Null).await, first);
        assert_eq!(forge.pulls().len(), 1);
    }
}

#[tokio::test]
async fn a_base_that_moved_on_is_followed_and_a_conflict_names_the_files() {
    let forge = forge(Kind::Gitea).await;
    let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    let task = submit(&atelier, &forge, "modify").await;
    task.completed().await;
    forge.commit("main", &[("other.txt", "two\n"), ("new.txt", "new\n")]);
    let branch = format!("atelier/{}", task.id);
    for (expected, then) in [("two", "three"), ("three", "four")] {
        let known = published(&atelier, &task, &Value::Null).await;
        assert_eq!(known["state"], "opened", "{known}");
        assert_eq!(forge.git(&["rev-parse", &format!("{branch}^")]), forge.git(&["rev-parse", "main"]));
        assert_eq!(forge.git(&["show", &format!("{branch}:other.txt")]), expected);
        assert_eq!(forge.git(&["diff", "--name-only", "main", &branch]), "greeting.txt");
        forge.commit("main", &[("other.txt", &format!("{then}\n"))]);
    }
    forge.commit("main", &[("greeting.txt", "good day\n")]);
    let before = forge.git(&["rev-parse", &branch]);
    let known = published(&atelier, &task, &Value::Null).await;
    assert_eq!((&known["state"], &known["files"]), (&json!("conflict"), &json!(["greeting.txt"])), "{known}");
    assert!(known["message"].as_str().unwrap().contains("main was changed meanwhile"), "{known}");
    assert_eq!(forge.git(&["rev-parse", &branch]), before, "nothing is pushed");
    assert_eq!(task.now().await["status"], "completed");
    // What the branch has already is nothing to publish.
    let other = submit(&atelier, &forge, "modify").await;
    other.completed().await;
    forge.commit("main", &[("greeting.txt", "hello\n")]);
    assert_eq!(published(&atelier, &other, &Value::Null).await["state"], "nothing_to_publish");
    assert_eq!(forge.branches(), [branch]);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_what_to_do() {
    let forge = forge(Kind::GitHub).await;
    let (atelier, _model) = server(Settings::new().allow_host("127.0.0.1"), "true", "Nothing to do.").await;
    let body = json!({ "source": { "git_url": forge.url() }, "task": "Go.", "mode": "pr" });
    let refused = atelier.post_json("/api/tasks", &body).await;
    assert_eq!(refused.status(), 422);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["field"], "mode");
    assert!(refused["detail"].as_str().unwrap().contains("[forge.NAME]"), "{refused}");
    let zip = crate::harness::Zip::new().file("a", "a").bytes();
    let refused = atelier.post_zip(zip.clone(), "Go.", &[("mode", "pr")]).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("give a Git URL"));

    let task = atelier.submit_zip_bytes(zip, "Go.", &[]).await;
    task.completed().await;
    let refused = publish(&atelier, &task, &Value::Null).await;
    assert_eq!(refused.status(), 409);
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(!page.contains("pull request"), "{page}");
}

#[tokio::test]
async fn a_forge_that_fails_leaves_a_completed_task_that_can_be_published_later() {
    let forge = forge(Kind::GitLab).await;
    let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    forge.answers(503, reqwest::header::HeaderMap::new(), "{\"message\": \"Down for maintenance\"}");
    let task = submit(&atelier, &forge, "pr").await;
    let known = task.completed().await["pull_request"].clone();
    assert_eq!((&known["state"], &known["kind"]), (&json!("failed"), &json!("forge_unavailable")), "{known}");
    assert!(known["message"].as_str().unwrap().contains("Down for maintenance"), "{known}");
    forge.answers(403, reqwest::header::HeaderMap::new(), "{\"message\": \"insufficient scope\"}");
    let known = published(&atelier, &task, &Value::Null).await;
    assert_eq!(known["kind"], "forge_login");
    assert!(known["message"].as_str().unwrap().contains("$ATELIER_TEST_FORGE_TOKEN"), "{known}");
    forge.recovers();
    assert_eq!(published(&atelier, &task, &Value::Null).await["state"], "opened");
    assert_eq!((forge.pulls().len(), forge.branches().len()), (1, 1));
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(!page.contains(TOKEN));
}

#[tokio::test]
async fn somebody_elses_commits_on_the_branch_stay() {
    let forge = forge(Kind::GitHub).await;
    let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    let task = submit(&atelier, &forge, "modify").await;
    task.completed().await;
    let branch = format!("atelier/{}", task.id);
    forge.git(&["branch", &branch, "main"]);
    forge.commit(&branch, &[("theirs.txt", "theirs\n")]);
    let theirs = forge.git(&["rev-parse", &branch]);
    let known = published(&atelier, &task, &Value::Null).await;
    assert_eq!((&known["state"], &known["kind"]), (&json!("failed"), &json!("branch_taken")), "{known}");
    assert_eq!((forge.git(&["rev-parse", &branch]), forge.pulls().len()), (theirs, 0));

    // On a request that is open a reviewer may go on.
    forge.git(&["branch", "-D", &branch]);
    let first = published(&atelier, &task, &Value::Null).await;
    forge.commit(&branch, &[("theirs.txt", "theirs\n")]);
    let theirs = forge.git(&["rev-parse", &branch]);
    assert_eq!(published(&atelier, &task, &Value::Null).await, first);
    assert_eq!(forge.git(&["rev-parse", &branch]), theirs);
}

#[tokio::test]
async fn a_result_that_retention_took_says_so() {
    let forge = forge(Kind::GitHub).await;
    let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    let task = submit(&atelier, &forge, "modify").await;
    task.completed().await;
    std::fs::remove_dir_all(atelier.data_dir().join("tasks").join(&task.id)).unwrap();
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(!page.contains("Open pull request"));
    let known = published(&atelier, &task, &Value::Null).await;
    assert_eq!(known["kind"], "result_gone");
    assert!(known["message"].as_str().unwrap().contains("retention"), "{known}");
}

#[tokio::test]
async fn from_the_terminal_the_address_is_shown_and_the_exit_code_says_whether_there_is_one() {
    let forge = forge(Kind::Gitea).await;
    let (atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    let run = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.args(["run", "--data-dir"]).arg(atelier.data_dir());
        command.args(["--repo", &forge.url(), "--task", "Mend the greeting.", "--pr"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let ran = run().await.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("The pull request is there: https://gitea.example.org/team/tool/pulls/1"), "{said}");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("+hello"), "the patch is on stdout as ever");

    forge.answers(422, reqwest::header::HeaderMap::new(), "{\"message\": \"no thanks\"}");
    let ran = run().await.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("no thanks") && !ran.stdout.is_empty(), "{said}");
}

#[tokio::test]
async fn where_there_are_no_drafts_the_request_is_none() {
    let forge = forge(Kind::GitHub).await;
    forge.refuses_drafts();
    let (atelier, _model) = server(forge.settings(), MEND, "It is mended.").await;
    let task = submit(&atelier, &forge, "pr").await;
    assert_eq!(task.completed().await["pull_request"]["state"], "opened");
    let pull = forge.pulls()[0].clone();
    assert_eq!(
        (&*pull.title, pull.draft),
        ("Mend the greeting.", false),
        "without a title line the instruction is the title"
    );
}

#[tokio::test]
async fn a_file_with_other_line_ends_in_a_checkout_goes_back_as_it_is_stored() {
    let files = [(".gitattributes", "*.bat text eol=crlf\n"), ("run.bat", "one\ntwo\n"), ("other.bat", "one\n")];
    let forge = Forge::start(Kind::GitHub, &files).await;
    let (atelier, _model) =
        server(forge.settings(), "printf 'three\\r\\n' >> run.bat; cat -A run.bat", LAST_WORD).await;
    let task = submit(&atelier, &forge, "pr").await;
    let known = task.completed().await["pull_request"].clone();
    assert!(task.tool_results().await[0]["stdout"].as_str().unwrap().contains("two^M$"), "the agent sees the others");
    assert_eq!(known["state"], "opened", "{known}");
    let branch = format!("atelier/{}", task.id);
    assert_eq!(forge.git(&["diff", "--numstat", "main", &branch]), "1\t0\trun.bat");
}
