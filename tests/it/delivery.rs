//! The result of a task is fetched with the real git: as commits that stand on the source's own.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, Task, Zip, commit_all, sh},
    model_server::{ModelServer, Reply},
    terminal::{atelier_with, short_folder, text},
};

/// Every kind of change there is.
const WORK: &str = "sed -i s/two/deux/ text; chmod +x script; git mv -k old new 2>/dev/null || mv old new; rm gone; \
                    printf '\\0\\1\\3' > binary; ln -s /etc/passwd link; rm becomes-link; ln -s text becomes-link; \
                    printf 'no end' > tail; mkdir -p deep/er; echo x > deep/er/file; printf 'two\\r\\n' >> dos.bat";

async fn server(settings: Settings, command: &str) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    model.will(Reply::text("Title: Change everything\n\nAs it was asked."));
    (Atelier::start_with(settings.model("openai", &model.url()).allow_host("127.0.0.1")).await, model)
}

/// A repository with a history at `root/tool`.
fn make_source(root: &Path) {
    let repository = root.join("tool");
    Zip::new()
        .file("text", "one\ntwo\nthree\n")
        .file("script", "#!/bin/sh\n")
        .file("old", "1\n2\n3\n4\n5\n")
        .file("gone", "gone\n")
        .file("becomes-link", "text\n")
        .entry("binary", b"\0\x01\x02", 0o644)
        .file(".gitattributes", "*.bat text eol=crlf\n")
        .file("dos.bat", "one\n")
        .file("folder/untouched", "untouched\n")
        .unpack(&repository);
    commit_all(&repository);
    sh(&repository, &format!("echo later > later && {IDENTITY} add -A && {IDENTITY} commit --quiet -m Second"));
}

const IDENTITY: &str = "git -c user.name=Ada -c user.email=ada@example.org";

/// Runs git as somebody who answers its question for a password with this token.
async fn git(folder: &Path, token: &str, arguments: &str) -> Output {
    let script = folder.join("../ask");
    std::fs::write(&script, format!("#!/bin/sh\necho {token}\n")).unwrap();
    sh(folder, "chmod +x ../ask");
    let mut command = Command::new("git");
    command.args(["-c", "credential.helper=", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
    command.args(arguments.split(' ')).current_dir(folder).env("GIT_ASKPASS", script).env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("LC_ALL", "C");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The same, which must succeed.
async fn takes(folder: &Path, atelier: &Atelier, arguments: &str) -> String {
    let output = git(folder, atelier.token(), arguments).await;
    assert!(output.status.success(), "git {arguments}: {}\n{}", text(&output.stderr), atelier.server_log());
    text(&output.stdout)
}

async fn refused(folder: &Path, token: &str, arguments: &str) -> String {
    let output = git(folder, token, arguments).await;
    assert!(!output.status.success(), "git {arguments}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn address(atelier: &Atelier, id: &str) -> String {
    atelier.url(&format!("/tasks/{id}.git")).replace("http://", "http://ada@")
}

async fn done<'a>(atelier: &'a Atelier, url: &str) -> Task<'a> {
    let task = atelier.submit_git(url, "Change it.").await;
    task.completed().await;
    task
}

#[tokio::test]
async fn a_result_is_fetched_into_a_clone_and_merged_picked_or_cloned_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    make_source(root);
    let source = GitServer::start(root).await;
    let (atelier, _model) = server(Settings::new(), WORK).await;
    let task = done(&atelier, &source.url("tool")).await;
    let (url, branch) = (address(&atelier, &task.id), format!("atelier/{}", task.id));
    for name in ["merged", "picked", "bundled", "applied"] {
        sh(root, &format!("git clone --quiet tool {name}"));
    }
    std::fs::write(root.join("patch"), task.patch().await).unwrap();
    let [merged, picked, bundled, applied] = ["merged", "picked", "bundled", "applied"].map(|name| root.join(name));
    sh(&applied, "git apply ../patch && git add -A");
    let expected = sh(&applied, "git write-tree");

    takes(&merged, &atelier, &format!("fetch {url}")).await;
    takes(&merged, &atelier, "merge --ff-only FETCH_HEAD").await;
    assert_eq!(sh(&merged, "git rev-parse HEAD^{tree}"), expected);
    assert_eq!(sh(&merged, "git rev-parse HEAD^"), sh(&root.join("tool"), "git rev-parse HEAD"));
    assert_eq!(
        sh(&merged, "git rev-list --count HEAD; git status --porcelain; ls .git/shallow 2>&1 | wc -l"),
        "3\n1\n"
    );
    assert_eq!(
        sh(&merged, "git log -1 --format='%an <%ae>|%s|%b'"),
        "Atelier <atelier@localhost>|Change everything|As it was asked.\n\n"
    );
    assert_eq!(sh(&merged, "git diff --name-only HEAD^ -- folder dos.bat"), "dos.bat\n", "only what was changed");
    sh(&merged, "git fsck --no-dangling");

    // Somebody went on meanwhile; the older protocol; a remote of its own.
    sh(&picked, &format!("echo mine > mine && {IDENTITY} add -A && {IDENTITY} commit --quiet -m Mine"));
    takes(&picked, &atelier, &format!("remote add atelier {url}")).await;
    takes(&picked, &atelier, "-c protocol.version=0 fetch --quiet atelier").await;
    takes(&picked, &atelier, &format!("cherry-pick atelier/{branch}")).await;
    assert_eq!(sh(&picked, "cat mine text"), "mine\none\ndeux\nthree\n");
    // A clone without any of it.
    takes(root, &atelier, &format!("clone --quiet {url} alone")).await;
    let alone = root.join("alone");
    assert_eq!(sh(&alone, "git rev-parse HEAD^{tree}; git branch --show-current"), format!("{expected}{branch}\n"));
    assert_eq!(sh(&alone, "cat later folder/untouched"), "later\nuntouched\n");

    // The same as a file, and the same commit however often it is made.
    let commit = sh(&merged, "git rev-parse HEAD");
    std::fs::remove_dir_all(atelier.data_dir().join("tasks").join(&task.id).join("delivery")).unwrap();
    let data_dir = atelier.data_dir().display().to_string();
    let written =
        atelier_with(root, &["diff", &task.id, "--bundle", "result.bundle", "--data-dir", &data_dir], &[]).await;
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    sh(&bundled, "git bundle verify --quiet ../result.bundle && git fetch --quiet ../result.bundle");
    assert_eq!(sh(&bundled, "git rev-parse FETCH_HEAD"), commit);
    let page = atelier.get(&format!("/tasks/{}/diff", task.id)).await.text().await.unwrap();
    assert!(page.contains(&format!("git fetch {}", atelier.url(&format!("/tasks/{}.git", task.id)))), "{page}");
    assert!(!page.contains(atelier.token()));
}

#[tokio::test]
async fn files_without_a_history_get_one_of_two_commits() {
    let (atelier, _model) = server(Settings::new(), "echo two >> a.txt; ln -s a.txt link").await;
    let zip = || Zip::new().file("a.txt", "one\n").executable("run", "#!/bin/sh\n");
    let task = atelier.submit_zip(zip(), "Change it.", &[]).await;
    task.completed().await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let work = root.join("work");
    std::fs::create_dir(&work).unwrap();
    zip().unpack(&work);
    commit_all(&work);

    takes(root, &atelier, &format!("clone --quiet {} alone", address(&atelier, &task.id))).await;
    assert_eq!(
        sh(&root.join("alone"), "git log --format=%s; git show --format= --name-status; ls run"),
        "Change everything\nSource: source.zip\nM\ta.txt\nA\tlink\nrun\n"
    );
    takes(&work, &atelier, &format!("fetch --quiet {}", address(&atelier, &task.id))).await;
    takes(&work, &atelier, "cherry-pick FETCH_HEAD").await;
    assert_eq!(sh(&work, "cat a.txt && git status --porcelain && readlink link"), "one\ntwo\na.txt\n");
    let bundle = atelier.get(&format!("/tasks/{}/result.bundle", task.id)).await;
    std::fs::write(root.join("b"), bundle.bytes().await.unwrap()).unwrap();
    sh(root, "git clone --quiet b from-bundle && test -x from-bundle/run");
}

#[tokio::test]
async fn r55_who_has_no_token_fetches_nothing_and_nobody_pushes() {
    let (atelier, _model) = server(Settings::new(), "echo two >> a.txt").await;
    let task = atelier.submit_zip(Zip::new().file("a.txt", "one\n"), "Change it.", &[]).await;
    task.completed().await;
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let url = address(&atelier, &task.id);
    takes(folder.path(), &atelier, &format!("clone --quiet {url} work")).await;

    let refs = format!("/tasks/{}.git/info/refs?service=git-upload-pack", task.id);
    let asked = atelier.http.get(atelier.url(&refs)).send().await.unwrap();
    assert_eq!(
        (asked.status().as_u16(), asked.headers()["www-authenticate"].to_str().unwrap()),
        (401, "Basic realm=\"Atelier\"")
    );
    assert_eq!(atelier.get(&refs).await.status(), 200, "as everywhere else");
    let said = refused(&work, atelier.token(), "push origin HEAD:refs/heads/mine").await;
    assert!(said.contains("remote: The result of a task is there to be fetched"), "{said}");
    let pushed =
        atelier.request(reqwest::Method::POST, &format!("/tasks/{}.git/git-receive-pack", task.id)).send().await;
    assert_eq!(pushed.unwrap().status(), 403);
    for path in ["HEAD", "objects/info/packs", "config", "info/refs/../../diff"] {
        assert_eq!(atelier.get(&format!("/tasks/{}.git/{path}", task.id)).await.status(), 404, "{path}");
    }
    let old = atelier.get(&format!("/tasks/{}.git/info/refs", task.id)).await;
    assert_eq!((old.status().as_u16(), &*old.text().await.unwrap()), (409, "This git is too old to fetch from here."));
    let said =
        refused(&work, atelier.token(), &format!("fetch {}", url.replace(&task.id, "20261120_abcdefghijkl"))).await;
    assert!(said.contains("remote: There is no task with this id."), "{said}");
    // Nobody guesses for long.
    let said = refused(&work, "x", "fetch").await;
    assert!(said.contains("Authentication failed"), "{said}");
    for _ in 0..4 {
        refused(&work, "atl_wrong", "fetch").await;
    }
    let said = refused(&work, atelier.token(), "fetch").await;
    assert!(said.contains("Too many failed tries"), "{said}");
}

#[tokio::test]
async fn where_there_is_nothing_to_fetch_git_says_why() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Nothing is wrong."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let zip = || Zip::new().file("a.txt", "one\n");
    let unchanged = atelier.submit_zip(zip(), "Look.", &[]).await;
    unchanged.completed().await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("work");
    std::fs::create_dir(&root).unwrap();
    let clone = |id: &str| format!("clone {}", address(&atelier, id));
    let said = refused(&root, atelier.token(), &clone(&unchanged.id)).await;
    assert!(said.contains("remote: The task changed nothing"), "{said}");
    assert_eq!(atelier.get(&format!("/tasks/{}/result.bundle", unchanged.id)).await.status(), 409);

    model.will(Reply::hang());
    let running = atelier.submit_zip(zip(), "Wait.", &[]).await;
    running.reaches("agent").await;
    let said = refused(&root, atelier.token(), &clone(&running.id)).await;
    assert!(said.contains("remote: The task has not ended yet"), "{said}");
    running.cancel().await;
    running.ended().await;

    model.will(Reply::text("").tool_call("run_command", json!({ "command": "echo two >> a.txt" })));
    model.will(Reply::text("Done."));
    let retired = atelier.submit_zip(zip(), "Change it.", &[]).await;
    retired.completed().await;
    std::fs::remove_dir_all(atelier.data_dir().join("tasks").join(&retired.id)).unwrap();
    let said = refused(&root, atelier.token(), &clone(&retired.id)).await;
    assert!(said.contains("remote: The changes of the task are kept no longer"), "{said}");
    let page = atelier.get(&format!("/tasks/{}/diff", retired.id)).await.text().await.unwrap();
    assert!(!page.contains("git fetch"), "{page}");
}

#[tokio::test]
async fn a_source_that_is_gone_is_named_and_after_a_further_turn_all_of_it_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    make_source(root);
    let source = GitServer::start(root).await;
    let (atelier, model) = server(Settings::new(), "echo first > first").await;
    let task = done(&atelier, &source.url("tool")).await;
    let id = task.id.clone();
    sh(root, "git clone --quiet tool mine && mv tool away");
    let said = refused(&root.join("mine"), atelier.token(), &format!("fetch {}", address(&atelier, &id))).await;
    assert!(said.contains("remote: the repository was not found"), "{said}");
    sh(root, "mv away tool");
    takes(&root.join("mine"), &atelier, &format!("fetch --quiet {}", address(&atelier, &id))).await;

    model.will(Reply::text("").tool_call("run_command", json!({ "command": "echo second > second; rm text" })));
    model.will(Reply::text("Title: Go on\n\nWent on."));
    let told: Value = atelier
        .post_json(&format!("/api/tasks/{id}/messages"), &json!({ "text": "Go on." }))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(told["turn"], 2, "{told}");
    atelier.task(&id).completed().await;
    let mine = root.join("mine");
    takes(&mine, &atelier, &format!("fetch --quiet {}", address(&atelier, &id))).await;
    assert_eq!(
        sh(&mine, "git show --format=%s --name-status FETCH_HEAD; git rev-parse FETCH_HEAD^"),
        format!("Go on\n\nA\tfirst\nA\tsecond\nD\ttext\n{}", sh(&root.join("tool"), "git rev-parse HEAD"))
    );
    let kept = std::fs::read_dir(atelier.data_dir().join("tasks").join(&id).join("delivery")).unwrap().count();
    assert_eq!(kept, 1, "that of the turn before went");
}

#[tokio::test]
async fn a_reader_that_goes_away_leaves_no_program_behind() {
    let (atelier, _model) = server(Settings::new(), "head -c 16000000 /dev/urandom > large").await;
    let task = atelier.submit_zip(Zip::new().file("a.txt", "one\n"), "Change it.", &[]).await;
    task.completed().await;
    let folder = short_folder();
    takes(folder.path(), &atelier, &format!("ls-remote {}", address(&atelier, &task.id))).await;
    let tip = takes(folder.path(), &atelier, &format!("ls-remote {} HEAD", address(&atelier, &task.id))).await;
    let want = format!("0032want {}\n00000009done\n", &tip[..40]);
    let asked = atelier
        .request(reqwest::Method::POST, &format!("/tasks/{}.git/git-upload-pack", task.id))
        .header("content-type", "application/x-git-upload-pack-request")
        .body(want);
    let mut answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some());
    let server = atelier.process_id();
    let programs = || sh(Path::new("/"), &format!("pgrep -P {server} git | wc -l"));
    assert_ne!(programs(), "0\n");
    drop(answer);
    crate::restarts::wait_for("its end", || programs() == "0\n").await;
}
