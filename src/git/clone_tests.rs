//! Clones from a real git server and from servers that mean no good.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::clone::{CloneLimits, CloneRequest, ClonedCommit, clone};
use super::clone_error::CloneError;
use super::git_server::{GitServer, git, make_repository};
use super::hostile_server::{Behaviour, HostileServer, PackedObject};
use super::refs::{RemoteRefs, list_refs};
use crate::domain::address::AddressPolicy;
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::source::GitRef;

struct Case {
    folder: TempDir,
    limits: CloneLimits,
    allowed: Vec<String>,
}

impl Case {
    fn new() -> Self {
        let limits =
            CloneLimits { total: Duration::from_secs(20), idle: Duration::from_secs(5), ..CloneLimits::default() };
        Self { folder: tempfile::tempdir().unwrap(), limits, allowed: vec!["127.0.0.1".to_owned()] }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn code(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    async fn clone(&self, url: &str, git_ref: Option<&str>) -> Result<ClonedCommit, Failure> {
        let cloned = clone(
            CloneRequest {
                url: &url.parse().unwrap(),
                git_ref: git_ref.map(|git_ref| git_ref.parse().unwrap()).as_ref(),
                into: &self.code(),
                token: None,
                policy: &AddressPolicy::parse(&self.allowed).unwrap(),
                limits: &self.limits,
            },
            |_| {},
        )
        .await;
        assert_eq!(cloned.is_ok(), self.code().exists(), "a failed clone leaves nothing behind");
        cloned.map_err(|error| error.failure())
    }

    async fn refs(&self, url: &str) -> Result<RemoteRefs, CloneError> {
        let policy = AddressPolicy::parse(&self.allowed).unwrap();
        list_refs(&url.parse().unwrap(), None, &policy, &self.limits).await
    }

    async fn refused(&self, url: &str) -> Failure {
        self.clone(url, None).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_branch_a_tag_a_commit_and_the_default_are_fetched() {
    let case = Case::new();
    let first = make_repository(case.root(), "r.git", &[("a.txt", "one\n"), ("b/c.txt", "two\n")]);
    let bare = case.root().join("r.git");
    let tree = git(&bare, &["rev-parse", "HEAD^{tree}"]);
    let second = git(&bare, &["commit-tree", "-p", &first, "-m", "Second", &tree]);
    git(&bare, &["update-ref", "refs/heads/feature/x", &second]);
    git(&bare, &["tag", "-a", "-m", "One", "v1", &first]);
    let server = GitServer::start(case.root()).await;
    for (git_ref, commit, branch) in [
        (None, &first, Some("main")),
        (Some("feature/x"), &second, Some("feature/x")),
        (Some("v1"), &first, None),
        (Some(first.as_str()), &first, None),
    ] {
        let cloned = case.clone(&server.url("r.git"), git_ref).await.unwrap();
        assert_eq!(cloned, ClonedCommit { commit: commit.clone(), branch: branch.map(ToOwned::to_owned) });
        assert_eq!(std::fs::read_to_string(case.code().join("b/c.txt")).unwrap(), "two\n");
        assert_eq!(git(&case.code(), &["status", "--porcelain"]), "");
        assert!(!std::fs::read_to_string(case.code().join(".git/config")).unwrap().contains("atelier"));
        std::fs::remove_dir_all(case.code()).unwrap();
    }
    let listed = case.refs(&server.url("r.git")).await.unwrap();
    let names: Vec<_> = listed.names.iter().map(GitRef::as_str).collect();
    assert_eq!((listed.default.unwrap().as_str(), &*names), ("main", &["main", "feature/x", "v1"][..]));
    assert!(matches!(case.refs(&server.url("missing.git")).await, Err(CloneError::NotFound(_))));
    let id = "0123456789abcdef0123456789abcdef01234567";
    for missing in ["nope", id] {
        let failure = case.clone(&server.url("r.git"), Some(missing)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::CloneFailed);
        assert!(failure.message.contains("no branch, tag or commit"), "{failure}");
    }
    let failure = case.refused(&server.url("missing.git")).await;
    assert!(failure.message.contains("not found"), "{failure}");
}

#[tokio::test]
async fn submodules_filters_and_hooks_do_nothing() {
    let case = Case::new();
    let canary = case.root().join("canary");
    let touch = format!("touch {}", canary.display());
    let first = make_repository(
        case.root(),
        "r.git",
        &[
            (".gitmodules", &format!("[submodule \"s\"]\npath = s\nurl = ext::sh -c {touch}\nupdate = !{touch}\n")),
            (".gitattributes", "* filter=lfs diff=lfs\n"),
            ("big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ],
    );
    let bare = case.root().join("r.git");
    let index = case.root().join("index");
    let with_index = |arguments: &str| {
        let command = format!("export GIT_INDEX_FILE={}; {arguments}", index.display());
        let output = std::process::Command::new("sh").args(["-c", &command]).current_dir(&bare).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    with_index(&format!("git read-tree {first} && git update-index --add --cacheinfo 160000,{first},s"));
    let commit = git(&bare, &["commit-tree", "-m", "Submodule", &with_index("git write-tree")]);
    git(&bare, &["update-ref", "refs/heads/main", &commit]);
    let server = GitServer::start(case.root()).await;
    case.clone(&server.url("r.git"), None).await.unwrap();
    assert!(std::fs::read_to_string(case.code().join("big.bin")).unwrap().starts_with("version"), "still a pointer");
    assert_eq!(std::fs::read_dir(case.code().join("s")).unwrap().count(), 0);
    assert!(!case.code().join(".git/hooks").exists() && !canary.exists());
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_written_out() {
    let mut case = Case::new();
    make_repository(case.root(), "r.git", &[("a.txt", "one\n"), ("b.txt", &"two\n".repeat(1000))]);
    let server = GitServer::start(case.root()).await;
    for limits in [
        CloneLimits { max_files: 1, ..case.limits.clone() },
        CloneLimits { max_unpacked_bytes: 4000, ..case.limits.clone() },
        CloneLimits { max_objects: 3, ..case.limits.clone() },
        CloneLimits { max_bytes: 300, ..case.limits.clone() },
    ] {
        case.limits = limits;
        let failure = case.refused(&server.url("r.git")).await;
        assert_eq!(failure.kind, FailureKind::TooLarge, "{failure}");
    }
}

#[tokio::test]
async fn private_addresses_are_not_connected_to() {
    let mut case = Case::new();
    case.allowed = vec!["localhost:1".to_owned()];
    let server = HostileServer::start(Behaviour::Silent).await;
    let failure = case.refused(&server.url()).await;
    assert_eq!(failure.kind, FailureKind::AddressNotAllowed);
    assert!(failure.message.contains("address not allowed"), "{failure}");
    // The name of this machine resolves to an address of its own: the name passes, the address does not.
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    if tokio::net::lookup_host((name.as_str(), 443)).await.is_ok() {
        let failure = case.refused(&format!("https://{name}:{}/r.git", server.address().port())).await;
        assert_eq!(failure.kind, FailureKind::AddressNotAllowed, "{failure}");
    }
    assert_eq!(server.heard(), [""; 0]);
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let case = Case::new();
    make_repository(case.root(), "r.git", &[("a.txt", "one\n")]);
    let canary = HostileServer::start(Behaviour::Silent).await;
    for location in [
        format!("http://127.0.0.1:{}/r.git/info/refs?service=git-upload-pack", canary.address().port()),
        format!("http://localhost:{}/r.git/info/refs?service=git-upload-pack", canary.address().port()),
        format!("https://127.0.0.1:{}/r.git/info/refs?service=git-upload-pack", canary.address().port()),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
    ] {
        let server = HostileServer::start(Behaviour::RedirectTo(location.clone())).await;
        let failure = case.refused(&server.url()).await;
        assert_eq!(failure.kind, FailureKind::RedirectRefused, "{location}: {failure}");
        assert!(failure.message.contains("redirect refused"), "{failure}");
    }
    assert_eq!(canary.heard(), [""; 0]);
}

#[tokio::test]
async fn slow_silent_and_endless_servers_are_left() {
    let mut case = Case::new();
    case.limits.idle = Duration::from_millis(700);
    case.limits.total = Duration::from_secs(2);
    case.limits.max_bytes = 10_000;
    for (behaviour, kind) in [
        (Behaviour::Silent, FailureKind::CloneTimeout),
        (Behaviour::Endless { lines: 1, pause: Duration::from_millis(100) }, FailureKind::CloneTimeout),
        (Behaviour::Endless { lines: 1000, pause: Duration::ZERO }, FailureKind::TooLarge),
        (Behaviour::Pack { objects: 10, object: PackedObject::Huge }, FailureKind::TooLarge),
        (Behaviour::Pack { objects: 10_000_000, object: PackedObject::Tiny }, FailureKind::TooLarge),
    ] {
        let server = HostileServer::start(behaviour).await;
        let started = Instant::now();
        let failure = case.refused(&server.url()).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(started.elapsed() < Duration::from_secs(4));
        wait_until_no_process_knows(&server.address().to_string()).await;
    }
}

#[tokio::test]
async fn a_dropped_clone_leaves_no_process() {
    let case = Case::new();
    let server = HostileServer::start(Behaviour::Silent).await;
    let url = server.url();
    tokio::select! {
        _ = case.clone(&url, None) => unreachable!("the server never answers"),
        () = async { while server.heard().is_empty() { tokio::task::yield_now().await } } => {}
    }
    wait_until_no_process_knows(&server.address().to_string()).await;
}

/// Waits for the end of every process that has the text in its arguments.
async fn wait_until_no_process_knows(text: &str) {
    let knows = |process: std::io::Result<std::fs::DirEntry>| {
        let arguments = std::fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    };
    let wait = async {
        while std::fs::read_dir("/proc").unwrap().any(knows) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("git is still there");
}
