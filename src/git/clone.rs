//! Fetches one commit of a repository into a folder, with the `git` program behind the proxy of this room.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::clone_error::CloneError;
use super::command::{Finished, Git, Stopped};
use super::proxy::{CloneProxy, Refusal};
use crate::config::{self, GitToken};
use crate::domain::address::AddressPolicy;
use crate::domain::source::{GitRef, RepoUrl};
use crate::remove_tree::remove_tree;

/// What to fetch, from where, to where.
#[derive(Debug)]
pub(crate) struct CloneRequest<'a> {
    pub(crate) url: &'a RepoUrl,
    /// A branch, a tag or a commit; the default branch if there is none.
    pub(crate) git_ref: Option<&'a GitRef>,
    /// Must be missing or empty. The work tree lands here, `.git` with it: for the agent to look at, never for us.
    pub(crate) into: &'a Path,
    /// Sent to the host of the URL and to no other.
    pub(crate) token: Option<&'a GitToken>,
    pub(crate) policy: &'a AddressPolicy,
    pub(crate) limits: &'a CloneLimits,
}

/// What a clone may use before it is stopped.
#[derive(Debug, Clone)]
pub(crate) struct CloneLimits {
    pub(crate) total: Duration,
    /// The longest silence: no byte from the server, no word from git.
    pub(crate) idle: Duration,
    /// Bytes received.
    pub(crate) max_bytes: u64,
    pub(crate) max_objects: u64,
    /// Of the work tree.
    pub(crate) max_files: u64,
    pub(crate) max_unpacked_bytes: u64,
}

impl From<&config::Source> for CloneLimits {
    fn from(settings: &config::Source) -> Self {
        Self {
            total: settings.clone_timeout,
            idle: settings.clone_idle_timeout,
            max_bytes: settings.max_unpacked_bytes,
            max_unpacked_bytes: settings.max_unpacked_bytes,
            max_files: settings.max_files,
            max_objects: settings.max_objects,
        }
    }
}

#[cfg(test)]
impl Default for CloneLimits {
    fn default() -> Self {
        Self {
            total: Duration::from_mins(2),
            idle: Duration::from_secs(15),
            max_bytes: 1 << 30,
            max_objects: 200_000,
            max_files: 50_000,
            max_unpacked_bytes: 1 << 30,
        }
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClonedCommit {
    /// The full id.
    pub(crate) commit: String,
    /// None when a tag or a commit was asked for.
    pub(crate) branch: Option<String>,
}

/// Clones; `progress` gets a line for people a few times a second. When it fails or is dropped no process is left over,
/// and when it fails no file either.
pub(crate) async fn clone(
    request: CloneRequest<'_>,
    mut progress: impl FnMut(String) + Send,
) -> Result<ClonedCommit, CloneError> {
    request.policy.check_url(request.url).map_err(Refusal::Address)?;
    make_empty_folder(request.into).await?;
    let limits = request.limits;
    let proxy =
        CloneProxy::start(request.url, request.policy.clone(), limits.max_bytes).await.map_err(CloneError::Proxy)?;
    let deadline = Instant::now() + limits.total;
    let git = Git { url: request.url, token: request.token, proxy: &proxy, limits, deadline };
    let cloned = Fetch { git, request: &request, progress: &mut progress }.run().await;
    if cloned.is_err()
        && let Err(error) = remove_tree(request.into).await
    {
        tracing::warn!(%error, "half a clone stays behind");
    }
    cloned
}

async fn make_empty_folder(folder: &Path) -> Result<(), CloneError> {
    let io = |source| CloneError::Folder { path: folder.to_owned(), source };
    tokio::fs::create_dir_all(folder).await.map_err(io)?;
    match tokio::fs::read_dir(folder).await.map_err(io)?.next_entry().await.map_err(io)? {
        None => Ok(()),
        Some(_) => Err(io(io::ErrorKind::DirectoryNotEmpty.into())),
    }
}

struct Fetch<'a> {
    git: Git<'a>,
    request: &'a CloneRequest<'a>,
    progress: &'a mut (dyn FnMut(String) + Send),
}

impl Fetch<'_> {
    async fn run(mut self) -> Result<ClonedCommit, CloneError> {
        let commit = match self.request.git_ref.filter(|git_ref| git_ref.is_commit_id()) {
            Some(id) => self.fetch_commit(id).await?,
            None => self.fetch_branch_or_tag().await?,
        };
        self.check_size(&commit).await?;
        self.inside(&["checkout", "--progress", "--force", &commit, "--"]).await?;
        let commit = self.inside(&["rev-parse", "--verify", "HEAD^{commit}"]).await?;
        let branch = self.try_inside(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
        let branch = branch.status.success().then(|| text(&branch.stdout)).filter(|branch| !branch.is_empty());
        Ok(ClonedCommit { commit: text(&commit.stdout), branch })
    }

    /// Everything but the files: what the commit holds is judged before it is written out.
    async fn fetch_branch_or_tag(&mut self) -> Result<String, CloneError> {
        let mut arguments = vec!["clone", "--no-checkout", "--progress", "--depth=1", "--single-branch", "--no-tags"];
        arguments.push("--template=");
        let branch = self.request.git_ref.map(|git_ref| format!("--branch={git_ref}"));
        arguments.extend(branch.as_deref());
        arguments.extend(["--", self.request.url.as_str()]);
        let mut arguments: Vec<&OsStr> = arguments.into_iter().map(OsStr::new).collect();
        arguments.push(self.request.into.as_os_str());
        self.succeed(&arguments).await?;
        let head = self.try_inside(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).await?;
        if head.status.success() { Ok("HEAD".to_owned()) } else { Err(CloneError::Empty) }
    }

    async fn fetch_commit(&mut self, id: &GitRef) -> Result<String, CloneError> {
        self.inside(&["init", "--quiet", "--template="]).await?;
        let url = self.request.url.as_str();
        self.inside(&["fetch", "--progress", "--depth=1", "--no-tags", "--", url, id.as_str()]).await?;
        Ok(id.to_string())
    }

    /// A few small objects can describe a tree with millions of files.
    async fn check_size(&mut self, commit: &str) -> Result<(), CloneError> {
        let limits = self.request.limits;
        let listing = self.inside(&["ls-tree", "-r", "-l", "-z", "--full-tree", commit]).await?.stdout;
        let (mut files, mut bytes) = (0_u64, 0_u64);
        for entry in listing.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()) {
            files += 1;
            // "mode type id size<TAB>path"; a submodule has "-" for a size.
            let size = entry.split(|&byte| byte == b'\t').next().and_then(|head| head.rsplit(|&b| b == b' ').next());
            let size = size.and_then(|size| std::str::from_utf8(size).ok()).and_then(|size| size.parse().ok());
            bytes = bytes.saturating_add(size.unwrap_or(0));
        }
        if files > limits.max_files {
            return Err(CloneError::TooManyFiles { limit: limits.max_files });
        }
        if bytes > limits.max_unpacked_bytes {
            return Err(CloneError::TooManyBytes { limit: limits.max_unpacked_bytes });
        }
        Ok(())
    }

    async fn inside(&mut self, arguments: &[&str]) -> Result<Finished, CloneError> {
        let arguments = self.inside_arguments(arguments);
        self.succeed(&arguments).await
    }

    async fn try_inside(&mut self, arguments: &[&str]) -> Result<Finished, CloneError> {
        let arguments = self.inside_arguments(arguments);
        self.run_git(&arguments).await
    }

    fn inside_arguments<'b>(&self, arguments: &'b [&'b str]) -> Vec<&'b OsStr>
    where
        Self: 'b,
    {
        [OsStr::new("-C"), self.request.into.as_os_str()]
            .into_iter()
            .chain(arguments.iter().map(|argument| OsStr::new(*argument)))
            .collect()
    }

    async fn succeed(&mut self, arguments: &[&OsStr]) -> Result<Finished, CloneError> {
        let finished = self.run_git(arguments).await?;
        match (finished.status.success(), self.git.proxy.refusal()) {
            (true, _) => Ok(finished),
            (false, Some(refusal)) => Err(CloneError::Refused(refusal)),
            (false, None) => Err(CloneError::from_git(&finished.transcript, self.request)),
        }
    }

    async fn run_git(&mut self, arguments: &[&OsStr]) -> Result<Finished, CloneError> {
        let limits = self.request.limits;
        self.git.run(arguments, self.progress).await.map_err(|stopped| match stopped {
            Stopped::NotStarted(error) => CloneError::GitMissing(error),
            Stopped::Deadline => CloneError::Timeout { limit: limits.total },
            Stopped::Idle => CloneError::Silence { limit: limits.idle },
            Stopped::TooManyObjects => CloneError::TooManyObjects { limit: limits.max_objects },
            Stopped::TooMuchOutput => CloneError::TooManyFiles { limit: limits.max_files },
        })
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}
