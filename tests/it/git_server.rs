//! A real git server for tests: `git http-backend` behind plain http on the loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use data_encoding::BASE64;
use tokio::io::AsyncWriteExt;

/// Serves every repository beneath a folder, for fetch and push, until it is dropped.
#[derive(Debug)]
pub(crate) struct GitServer {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    authorization: Option<String>,
}

impl GitServer {
    pub(crate) async fn start(root: &Path) -> Self {
        Self::listen(root, None, Router::new()).await
    }

    /// A server that answers 401 to everyone but this user.
    pub(crate) async fn start_with_login(root: &Path, user: &str, password: &str) -> Self {
        Self::start_with_routes(root, user, password, Router::new()).await
    }

    /// The same, with other answers at some addresses.
    pub(crate) async fn start_with_routes(root: &Path, user: &str, password: &str, routes: Router) -> Self {
        let login = BASE64.encode(format!("{user}:{password}").as_bytes());
        Self::listen(root, Some(format!("Basic {login}")), routes).await
    }

    /// `http://127.0.0.1:PORT/NAME`
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }

    async fn listen(root: &Path, authorization: Option<String>, routes: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { root: root.to_owned(), authorization });
        let app = routes.fallback_service(Router::new().fallback(serve).with_state(shared));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, task }
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if shared.authorization.as_ref().is_some_and(|wanted| *wanted != header("authorization")) {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header("WWW-Authenticate", "Basic realm=\"git\"")
            .body(Body::empty())
            .unwrap();
    }
    let mut backend = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "http.receivepack")
        .env("GIT_CONFIG_VALUE_0", "true")
        .env("GIT_CONFIG_KEY_1", "safe.directory")
        .env("GIT_CONFIG_VALUE_1", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = backend.stdin.take().unwrap();
    let feed = tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = backend.wait_with_output().await.unwrap().stdout;
    feed.await.unwrap();
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").expect("http-backend answers with headers");
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

/// Runs git in a folder, with an identity and without the configuration of this machine; gives its standard output.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Puts a bare repository at `root/name` with these files in one commit on `main`, whose id it gives.
pub(crate) fn make_repository(root: &Path, name: &str, files: &[(&str, &str)]) -> String {
    let work = tempfile::tempdir().unwrap();
    git(work.path(), &["init", "--quiet", "-b", "main"]);
    for (path, content) in files {
        let path = work.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    git(work.path(), &["add", "--all"]);
    git(work.path(), &["commit", "--quiet", "--allow-empty", "-m", "First"]);
    let bare = root.join(name);
    git(work.path(), &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    git(&bare, &["rev-parse", "HEAD"])
}
