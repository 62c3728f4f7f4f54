//! Git URLs, git servers and repositories that mean harm (R14 to R22).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{files_with, obeying, programs::Programs, refused, stdout};
use crate::{
    git_server::{GitServer, make_repository},
    harness::{Atelier, Settings, Zip},
    hostile_server::{Behaviour, HostileServer, PackedObject},
};

async fn post_url(atelier: &Atelier, url: &str) -> reqwest::Response {
    atelier.post_json("/api/tasks", &json!({ "source": { "git_url": url }, "task": "Go." })).await
}

fn near() -> Settings {
    Settings::new().allow_host("127.0.0.1")
}

#[tokio::test]
async fn r14_r15_only_web_urls_are_fetched_and_nothing_is_an_option() {
    let atelier = Atelier::start().await;
    for url in [
        "file:///etc",
        "/tmp/x",
        "ext::sh -c touch% /tmp/c",
        "git://h/x",
        "ssh://h/x",
        "user@h:x",
        "-oProxyCommand=touch /tmp/c",
        "--upload-pack=touch /tmp/c",
        "http://example.org/x",
        "https:\\\\h\\x",
        "https://h/x\ny",
        "https://h/x\u{0}y",
        "https://h/x%00y",
    ] {
        let response = post_url(&atelier, url).await;
        let status = response.status();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(status, 422, "{url}: {problem}");
        assert_eq!(problem["errors"][0]["field"], "git_url", "{problem}");
    }
    for git_ref in ["--output=/tmp/c", "-d", "a..b"] {
        let body = json!({"source": {"git_url": "https://example.org/a/b", "git_ref": git_ref}, "task": "Go."});
        let problem: Value = atelier.post_json("/api/tasks", &body).await.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], "git_ref", "{git_ref}: {problem}");
    }
    assert!(!Path::new("/tmp/c").exists());
    atelier.kept_nothing().await;
}

#[tokio::test]
async fn r16_private_addresses_are_not_fetched_however_they_are_written() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let atelier = Atelier::start().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "172.17.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "metadata.google.internal",
    ] {
        let response = post_url(&atelier, &format!("https://{host}:{port}/a/b")).await;
        let detail = refused(response, 422, "address_not_allowed").await;
        assert!(detail.contains("allow_private_hosts"), "{host}: {detail}");
    }
    atelier.kept_nothing().await;
    // A name of this machine is no literal: it passes the door, and its address does not.
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    if tokio::net::lookup_host((name.as_str(), port)).await.is_ok() {
        let task = atelier.submit_git(&format!("https://{name}:{port}/a/b"), "Go.").await;
        task.failed("address_not_allowed").await;
    }
    let hit = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(hit.is_err(), "somebody connected");
}

#[tokio::test]
async fn r17_redirect_is_refused() {
    let canary = HostileServer::start(Behaviour::Silent).await;
    let port = canary.address().port();
    let atelier = Atelier::start_with(near()).await;
    for location in [
        format!("http://127.0.0.1:{port}/r.git/info/refs?service=git-upload-pack"),
        format!("http://localhost:{port}/r.git/info/refs?service=git-upload-pack"),
        format!("https://127.0.0.1:{port}/r.git/info/refs?service=git-upload-pack"),
        "file:///etc/passwd".to_owned(),
    ] {
        let server = HostileServer::start(Behaviour::RedirectTo(location.clone())).await;
        let ended = atelier.submit_git(&server.url(), "Go.").await.failed("redirect_refused").await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains("redirect refused") && message.contains("final URL"), "{location}: {message}");
    }
    assert_eq!(canary.heard(), [""; 0]);
}

#[tokio::test]
async fn r19_servers_that_are_silent_slow_or_endless_are_left_and_nothing_of_them_stays() {
    let settings = near()
        .set("source.clone_idle_timeout_s", 2)
        .set("source.clone_timeout_s", 5)
        .set("source.max_unpacked_bytes", 20_000_000)
        .set("queue.max_running", 1);
    let atelier = Atelier::start_with(settings).await;
    let mut before = None;
    for (behaviour, kind, setting) in [
        (Behaviour::Silent, "clone_timeout", "clone_idle_timeout_s"),
        (Behaviour::Endless { lines: 1, pause: Duration::from_secs(1) }, "clone_timeout", "clone_timeout_s"),
        (Behaviour::Endless { lines: 1000, pause: Duration::ZERO }, "too_large", "max_unpacked_bytes"),
        (Behaviour::Pack { objects: 10, object: PackedObject::Huge }, "too_large", "max_unpacked_bytes"),
        (Behaviour::Pack { objects: 10_000_000, object: PackedObject::Tiny }, "too_large", "max_objects"),
    ] {
        let server = HostileServer::start(behaviour.clone()).await;
        let started = Instant::now();
        let task = atelier.submit_git(&server.url(), "Go.").await;
        let ended = task.failed(kind).await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains(setting), "{behaviour:?}: {message}");
        assert!(started.elapsed() < Duration::from_secs(10), "{behaviour:?}: {:?}", started.elapsed());
        assert_eq!(atelier.workspaces(), [""; 0]);
        // The first clone starts threads that stay for the next one. A connection of ours may be open at the moment.
        let open = atelier.open_files();
        assert!(open <= *before.get_or_insert(open) + 3, "{behaviour:?}: {open} open files");
        no_process_knows(&server.address().to_string()).await;
    }
}

/// Waits for the end of every process that has the text in its arguments.
async fn no_process_knows(text: &str) {
    let knows = |process: std::io::Result<std::fs::DirEntry>| {
        let arguments = std::fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    };
    let started = Instant::now();
    while std::fs::read_dir("/proc").unwrap().any(knows) {
        assert!(started.elapsed() < Duration::from_secs(5), "git is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r20_submodules_filters_and_odd_paths_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let canary = tempfile::tempdir().unwrap();
    let touch = format!("touch {}/canary", canary.path().display());
    let modules = format!(
        "[submodule \"s\"]\npath = s\nurl = ext::sh -c {touch}\nupdate = !{touch}\n\
         [submodule \"e\"]\npath = e\nurl = file:///etc\n[submodule \"r\"]\npath = \"r\r\"\nurl = ./r\n"
    );
    let first = make_repository(
        folder.path(),
        "r.git",
        &[
            (".gitmodules", &modules),
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs\n"),
            ("big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ],
    );
    let bare = folder.path().join("r.git");
    let index = folder.path().join("index");
    let link = "printf .git | git hash-object -w --stdin";
    let script = format!(
        "export GIT_INDEX_FILE={index}; git read-tree {first}\n\
         for path in s e R/modules/x \"$(printf 'r\\r')\"; do git update-index --add --cacheinfo \"160000,{first},$path\"; done\n\
         git update-index --add --cacheinfo \"120000,$({link}),r\"\n\
         git update-ref refs/heads/main $(git -c user.name=a -c user.email=a@b commit-tree -m x $(git write-tree))\n",
        index = index.display()
    );
    crate::harness::sh(&bare, &script);
    let server = GitServer::start(folder.path()).await;
    let (atelier, _model) = obeying(&["head -1 big.bin; ls -A s e; readlink r; ls .git/hooks"], near()).await;

    let task = atelier.submit_git(&server.url("r.git"), "Look.").await;
    task.completed().await;

    let result = task.tool_results().await[0].clone();
    assert_eq!(stdout(&result), "version https://git-lfs.github.com/spec/v1\ne:\n\ns:\n.git\n", "{result}");
    assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn r21_a_password_in_a_url_is_refused_and_kept_nowhere() {
    let atelier = Atelier::start().await;
    for url in ["https://u:CANARYPW@example.org/r.git", "https://CANARYPW@example.org/r.git", "ssh://u:CANARYPW@h/r"] {
        let response = post_url(&atelier, url).await;
        assert_eq!(response.status(), 422, "{url}");
        assert!(!response.text().await.unwrap().contains("CANARYPW"), "{url}");
        let form = reqwest::multipart::Form::new().text("task", "Go.").text("git_url", url);
        let request = atelier.request(reqwest::Method::POST, "/tasks").header("accept", "text/html");
        let page = request.multipart(form).send().await.unwrap();
        assert_eq!(page.status(), 422, "{url}");
        assert!(!page.text().await.unwrap().contains("CANARYPW"), "{url}");
    }
    atelier.kept_nothing().await;
    assert_eq!(files_with(&atelier.data_dir(), "CANARYPW"), [""; 0]);
    assert!(!atelier.server_log().contains("CANARYPW"));
}

/// Everything that makes git run a program, for whoever looks at the tree with it.
fn traps(canary: &str) -> String {
    let touch = format!("touch {canary}/canary");
    format!(
        r#"
git init -q . && git init -q nested && git init -q --bare embedded
for repository in .git nested/.git embedded; do
  mkdir -p $repository/hooks
  for hook in post-checkout pre-commit post-index-change reference-transaction fsmonitor-watchman; do
    printf '#!/bin/sh\n{touch}\n' > $repository/hooks/$hook; chmod +x $repository/hooks/$hook
  done
  cat >> $repository/config <<'END'
[core]
	fsmonitor = "{touch};:"
	hooksPath = hooks
	sshCommand = {touch}
	pager = {touch}
	editor = {touch}
[diff]
	external = {touch}
[diff "x"]
	textconv = {touch};cat
[filter "f"]
	clean = {touch};cat
	smudge = {touch};cat
	process = {touch}
[credential]
	helper = "!{touch}"
[gpg]
	program = {touch}
[include]
	path = /app/code/more
END
done
printf '* filter=f diff=x\n' > .gitattributes; cp .gitattributes nested/
echo changed > a; echo new > nested/b; echo new > embedded/c
"#
    )
}

#[tokio::test]
async fn r22_the_server_runs_no_git_where_an_agent_wrote() {
    let canary = tempfile::tempdir().unwrap();
    let wait = "until [ -e /app/output/go ]; do sleep 0.05; done";
    let (atelier, _model) = obeying(&[&traps(canary.path().to_str().unwrap()), wait], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a\n"), "Set traps.", &[]).await;
    task.wait_until("the traps to be set", |task| task["steps"] == 2).await;
    let programs = Programs::started_by(atelier.process_id()).await;
    std::fs::write(atelier.data_dir().join(format!("tasks/{}/output/go", task.id)), "").unwrap();

    let ended = task.completed().await;

    let patch = String::from_utf8(task.patch().await).unwrap();
    for line in ["+changed", "+* filter=f diff=x", "b/nested/b", "b/embedded/c"] {
        assert!(patch.contains(line), "{line}: {patch}\n{ended}");
    }
    assert_eq!(atelier.get(&format!("/tasks/{}/diff", task.id)).await.status(), 200);
    let started = programs.stop();
    assert!(started.iter().any(|line| line.contains("\"rm\"")), "the trace works: {started:?}");
    assert!(!started.iter().any(|line| line.contains("/git\", [")), "{started:?}");
    assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 0, "a trap went off");
}
