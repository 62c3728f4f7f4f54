//! A forge on loopback: repositories behind `git http-backend`, pull requests by the published API of GitHub Enterprise, GitLab
//! or Gitea. Both want the token, each in its own header. It is as strict as the real ones where a client can go wrong.

mod gitea;
mod github;
mod gitlab;
mod issues;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    git_server::{GitServer, git, make_repository},
    harness::Settings,
};

pub(crate) const TOKEN: &str = "CANARY-forge-token-5b1e";
pub(crate) const ALL: [Kind; 3] = [Kind::GitHub, Kind::GitLab, Kind::Gitea];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    GitHub,
    GitLab,
    Gitea,
}

/// Stops when dropped. Its one repository is `team/tool`.
pub(crate) struct Forge {
    kind: Kind,
    server: GitServer,
    shared: Arc<Shared>,
    folder: TempDir,
}

/// A pull request as the forge keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) number: usize,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) draft: bool,
    pub(crate) is_open: bool,
}

/// Where the forge stops in the making of a pull request, and never answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    BeforeItIsMade,
    BeforeTheAnswer,
}

#[derive(Debug)]
struct Shared {
    repository: PathBuf,
    pulls: Mutex<Vec<Pull>>,
    /// On issues, by their numbers.
    comments: Mutex<Vec<(u64, String)>>,
    /// Whether drafts are a matter of another plan.
    refuses_drafts: AtomicBool,
    hold: Mutex<Option<Hold>>,
    held: Mutex<usize>,
    /// What every request of the API is answered with instead.
    fault: Mutex<Option<(u16, HeaderMap, String)>>,
}

impl Forge {
    pub(crate) async fn start(kind: Kind, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("team")).unwrap();
        make_repository(folder.path(), "team/tool.git", files);
        let shared = Arc::new(Shared {
            repository: folder.path().join("team/tool.git"),
            pulls: Mutex::default(),
            comments: Mutex::default(),
            refuses_drafts: AtomicBool::default(),
            hold: Mutex::default(),
            held: Mutex::default(),
            fault: Mutex::default(),
        });
        let routes = match kind {
            Kind::GitHub => github::routes(shared.clone()),
            Kind::GitLab => gitlab::routes(shared.clone()),
            Kind::Gitea => gitea::routes(shared.clone()),
        };
        let user = if kind == Kind::GitLab { "oauth2" } else { "x-access-token" };
        let server = GitServer::start_with_routes(folder.path(), user, TOKEN, routes).await;
        Self { kind, server, shared, folder }
    }

    /// The repository, for a task.
    pub(crate) fn url(&self) -> String {
        self.server.url("team/tool.git")
    }

    /// What a server needs to publish here.
    pub(crate) fn settings(&self) -> Settings {
        let kind = match self.kind {
            Kind::GitHub => "github",
            Kind::GitLab => "gitlab",
            Kind::Gitea => "gitea",
        };
        let host = self.url().split('/').nth(2).unwrap().to_owned();
        let username = if self.kind == Kind::GitLab { "oauth2" } else { "x-access-token" };
        let entry = toml::Table::from_iter([
            ("token_env".to_owned(), "ATELIER_TEST_FORGE_TOKEN".into()),
            ("username".to_owned(), username.into()),
        ]);
        Settings::new()
            .allow_host("127.0.0.1")
            .set("forge.mine.kind", kind)
            .set("forge.mine.base_url", format!("http://{host}"))
            .set("forge.mine.token_env", "ATELIER_TEST_FORGE_TOKEN")
            .set("source.tokens", toml::Table::from_iter([(host, entry.into())]))
            .environment("ATELIER_TEST_FORGE_TOKEN", TOKEN)
    }

    pub(crate) fn pulls(&self) -> Vec<Pull> {
        self.shared.pulls().clone()
    }

    /// What was said on an issue, in order.
    pub(crate) fn comments(&self, issue: u64) -> Vec<String> {
        let comments = self.shared.comments.lock().unwrap();
        comments.iter().filter(|(number, _)| *number == issue).map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn close(&self, number: usize) {
        self.shared.pulls()[number - 1].is_open = false;
    }

    pub(crate) fn refuses_drafts(&self) {
        self.shared.refuses_drafts.store(true, Ordering::Relaxed);
    }

    pub(crate) fn hold(&self, hold: Option<Hold>) {
        *self.shared.hold.lock().unwrap() = hold;
    }

    /// How many requests it has stopped in.
    pub(crate) fn held(&self) -> usize {
        *self.shared.held.lock().unwrap()
    }

    pub(crate) fn answers(&self, status: u16, headers: HeaderMap, body: &str) {
        *self.shared.fault.lock().unwrap() = Some((status, headers, body.to_owned()));
    }

    pub(crate) fn recovers(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.shared.repository, arguments)
    }

    /// The branches beside `main`.
    pub(crate) fn branches(&self) -> Vec<String> {
        let listed = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        listed.lines().filter(|name| *name != "main").map(str::to_owned).collect()
    }

    /// Somebody pushes a commit to a branch, with these files.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) {
        let work = tempfile::tempdir_in(self.folder.path()).unwrap();
        let repository = self.shared.repository.to_str().unwrap();
        git(work.path(), &["clone", "--quiet", "--branch", branch, repository, "."]);
        for (path, content) in files {
            let path = work.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        git(work.path(), &["add", "--all"]);
        git(work.path(), &["commit", "--quiet", "-m", "Go on"]);
        git(work.path(), &["push", "--quiet", "origin", branch]);
    }
}

impl Shared {
    fn pulls(&self) -> MutexGuard<'_, Vec<Pull>> {
        self.pulls.lock().unwrap()
    }

    fn has_branch(&self, name: &str) -> bool {
        let name = format!("refs/heads/{name}");
        !git(&self.repository, &["for-each-ref", &name]).is_empty()
    }

    fn tip(&self, name: &str) -> String {
        git(&self.repository, &["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{name}")])
    }

    /// The answer to a request that the forge does not even look at.
    fn refusal(&self, headers: &HeaderMap, name: &str, wanted: &str) -> Option<Response> {
        if let Some((status, headers, body)) = self.fault.lock().unwrap().clone() {
            return Some((StatusCode::from_u16(status).unwrap(), headers, body).into_response());
        }
        let is_known = headers.get(name).is_some_and(|value| value == wanted);
        (!is_known).then(|| answer(401, &json!({ "message": "401 Unauthorized" })))
    }

    /// Makes one, unless it is told to stop before or after.
    async fn make(&self, pull: Pull) -> Pull {
        self.stop_if(Hold::BeforeItIsMade).await;
        let pull = {
            let mut pulls = self.pulls();
            let number = pulls.len() + 1;
            pulls.push(Pull { number, ..pull });
            pulls[number - 1].clone()
        };
        self.stop_if(Hold::BeforeTheAnswer).await;
        pull
    }

    async fn stop_if(&self, hold: Hold) {
        if *self.hold.lock().unwrap() == Some(hold) {
            *self.held.lock().unwrap() += 1;
            std::future::pending::<()>().await;
        }
    }

    fn has_open(&self, head: &str) -> bool {
        self.pulls().iter().any(|pull| pull.head == head && pull.is_open)
    }
}

fn answer(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body.clone())).into_response()
}

/// The fields of a request, all of them texts or truth values that the forge knows; else which is wrong.
fn fields<'a>(body: &'a Value, required: &[&str], known: &[&str]) -> Result<&'a Value, String> {
    let object = body.as_object().ok_or("not an object")?;
    let missing = required.iter().find(|name| object.get(**name).and_then(Value::as_str).is_none_or(str::is_empty));
    let unknown = object.keys().find(|name| !required.contains(&name.as_str()) && !known.contains(&name.as_str()));
    match (missing, unknown) {
        (Some(missing), _) => Err(format!("{missing} is missing")),
        (_, Some(unknown)) => Err(format!("{unknown} is unknown")),
        _ => Ok(body),
    }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}
