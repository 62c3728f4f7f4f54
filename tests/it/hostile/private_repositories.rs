//! Repositories that need a token: it opens them, goes to no other host and is seen nowhere (R17, R21, R65).

use data_encoding::BASE64;
use tempfile::TempDir;

use super::{Programs, obeying, shown_nowhere, stdout};
use crate::{
    git_server::{GitServer, make_repository},
    harness::{Atelier, Settings},
    hostile_server::{Behaviour, HostileServer},
};

const TOKEN: &str = "CANARY-git-token-93fa";

/// A server with one private repository.
struct Private {
    server: GitServer,
    _folder: TempDir,
}

impl Private {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_repository(folder.path(), "r.git", &[("a.txt", "private\n")]);
        Self { server: GitServer::start_with_login(folder.path(), "oauth2", TOKEN).await, _folder: folder }
    }

    fn url(&self) -> String {
        self.server.url("r.git")
    }

    fn host(&self) -> String {
        host_of(&self.url())
    }
}

/// Host and port of a URL.
fn host_of(url: &str) -> String {
    url.split('/').nth(2).unwrap().to_owned()
}

/// Settings with a token for a host, from a variable with this value.
fn with_token(host: &str, value: &str) -> Settings {
    let mut entry = toml::Table::new();
    entry.insert("token_env".to_owned(), "ATELIER_TEST_GIT_TOKEN".into());
    entry.insert("username".to_owned(), "oauth2".into());
    let mut tokens = toml::Table::new();
    tokens.insert(host.to_owned(), entry.into());
    Settings::new().allow_host("127.0.0.1").set("source.tokens", tokens).environment("ATELIER_TEST_GIT_TOKEN", value)
}

#[tokio::test]
async fn r65_a_token_opens_a_private_repository_and_is_seen_nowhere() {
    let private = Private::start().await;
    let look = format!(
        "cat a.txt .git/config; env; cat /proc/*/environ | tr '\\0' '\\n'; grep -rl {} /app /run /tmp",
        &TOKEN[..10]
    );
    let (atelier, _model) = obeying(&[&look], with_token(&private.host(), TOKEN)).await;
    let programs = Programs::started_by(atelier.process_id()).await;
    let task = atelier.submit_git(&private.url(), "Look.").await;
    task.completed().await;

    let started = programs.stop();
    assert!(started.iter().any(|line| line.contains("\"clone\"")), "git was started: {started:?}");
    let sent = BASE64.encode(format!("oauth2:{TOKEN}").as_bytes());
    assert!(!started.iter().any(|line| line.contains(TOKEN) || line.contains(&sent)), "{started:?}");
    let result = task.tool_results().await[0].clone();
    assert!(stdout(&result).starts_with("private\n") && !stdout(&result).contains("xtraheader"), "{result}");
    // Masked texts would say so with stars.
    assert!(!stdout(&result).contains("***") && !result.to_string().contains(TOKEN), "{result}");
    shown_nowhere(&atelier, &task, "oauth2", TOKEN).await;
}

#[tokio::test]
async fn a_private_repository_without_a_good_token_names_the_setting_that_would_help() {
    let private = Private::start().await;
    for (settings, advice) in [
        (Settings::new().allow_host("127.0.0.1"), format!("[source.tokens.\"{}\"]", private.host())),
        (with_token(&private.host(), ""), "set $ATELIER_TEST_GIT_TOKEN".to_owned()),
        (with_token(&private.host(), "wrong"), "$ATELIER_TEST_GIT_TOKEN was refused".to_owned()),
        // A token for another port of the host is a token for another server.
        (with_token("127.0.0.1:1", TOKEN), format!("[source.tokens.\"{}\"]", private.host())),
    ] {
        let atelier = Atelier::start_with(settings).await;
        let ended = atelier.submit_git(&private.url(), "Go.").await.failed("clone_failed").await;
        let message = ended["error"]["message"].as_str().unwrap();
        assert!(message.contains("asks for a login") && message.contains(&advice), "{advice}: {message}");
    }
}

#[tokio::test]
async fn r17_a_redirect_takes_no_token_along() {
    let canary = HostileServer::start(Behaviour::Silent).await;
    let server = HostileServer::start(Behaviour::RedirectTo(format!("{}/info/refs", canary.url()))).await;
    let atelier = Atelier::start_with(with_token(&host_of(&server.url()), TOKEN)).await;
    let task = atelier.submit_git(&server.url(), "Go.").await;
    task.failed("redirect_refused").await;
    assert!(server.heard().iter().any(|request| request.contains("authorization: Basic")), "{:?}", server.heard());
    assert_eq!(canary.heard(), [""; 0]);
    shown_nowhere(&atelier, &task, "oauth2", TOKEN).await;
}

#[tokio::test]
async fn r61_a_server_that_repeats_the_token_makes_nobody_see_it() {
    let server = HostileServer::start(Behaviour::Echo).await;
    let atelier = Atelier::start_with(with_token(&host_of(&server.url()), TOKEN)).await;
    let task = atelier.submit_git(&server.url(), "Go.").await;
    let ended = task.failed("clone_failed").await;
    assert!(ended.to_string().contains("***"), "the server's words are shown, masked: {ended}");
    shown_nowhere(&atelier, &task, "oauth2", TOKEN).await;
}
