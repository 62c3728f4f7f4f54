//! A branch on the other side: looking, fetching what it stands on, pushing. The `git` program does it from a repository of the
//! server's own, behind the proxy of this room, with a token for one host.

use std::{ffi::OsStr, path::Path};

use tokio::time::Instant;

use super::{
    clone::CloneLimits,
    command::{Finished, Git},
    proxy::CloneProxy,
    remote_error::RemoteError,
    snapshot::Snapshots,
};
use crate::{
    blocking,
    config::GitToken,
    domain::{
        address::AddressPolicy,
        source::{GitRef, RepoUrl},
    },
    remove_tree::remove_tree,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteRequest<'a> {
    pub(crate) url: &'a RepoUrl,
    /// Sent to the host of the URL and to no other.
    pub(crate) token: &'a GitToken,
    pub(crate) policy: &'a AddressPolicy,
    /// For each way to the server and back.
    pub(crate) limits: &'a CloneLimits,
    /// Where the repository to push from is made; whatever is there goes.
    pub(crate) git_dir: &'a Path,
}

/// A connection to be: nothing is asked before one of its methods is called.
#[derive(Debug)]
pub(crate) struct Remote<'a> {
    request: RemoteRequest<'a>,
    proxy: CloneProxy,
}

/// What the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heads {
    /// The branch to merge into: the one asked for, or the default one.
    pub(crate) base: GitRef,
    pub(crate) base_tip: String,
    /// The branch of the task, if it is there.
    pub(crate) own_tip: Option<String>,
}

/// What was fetched, in our repository.
const FETCHED: &str = "refs/atelier/base";

impl<'a> Remote<'a> {
    pub(crate) async fn open(request: RemoteRequest<'a>, snapshots: &Path) -> Result<Self, RemoteError> {
        request.policy.check_url(request.url).map_err(super::proxy::Refusal::Address)?;
        remove_tree(request.git_dir).await.map_err(|error| RemoteError::Folder(error.to_string()))?;
        let (snapshots, git_dir) = (snapshots.to_owned(), request.git_dir.to_owned());
        blocking::run(move || Snapshots::open(&snapshots)?.lend_to(&git_dir))
            .await
            .map_err(|error| RemoteError::Folder(error.to_string()))?
            .map_err(|error| RemoteError::Folder(error.to_string()))?;
        let proxy = CloneProxy::start(request.url, request.policy.clone(), request.limits.max_bytes);
        Ok(Self { request, proxy: proxy.await.map_err(RemoteError::Proxy)? })
    }

    /// `base` is the branch that was cloned, if it was one.
    pub(crate) async fn heads(&self, base: Option<&GitRef>, own: &str) -> Result<Heads, RemoteError> {
        let own = format!("refs/heads/{own}");
        let wanted = base.map(|base| format!("refs/heads/{base}"));
        let mut arguments = vec!["ls-remote", "--symref", "--", self.request.url.as_str(), "HEAD", &own];
        arguments.extend(wanted.as_deref());
        let listed = self.git(&arguments).await?.stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let lines: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
        let tip =
            |name: &str| lines.iter().find(|(id, listed)| *listed == name && is_id(id)).map(|(id, _)| (*id).to_owned());
        let default = lines.iter().find_map(|(id, name)| id.strip_prefix("ref: ").filter(|_| *name == "HEAD"));
        let base = match (wanted, default) {
            (Some(wanted), _) => wanted,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return Err(RemoteError::NoBase("a default branch".to_owned())),
        };
        let name = base.strip_prefix("refs/heads/").unwrap_or(&base).to_owned();
        let base_tip = match tip(&base) {
            Some(tip) => tip,
            None if default == Some(&base) => tip("HEAD").ok_or_else(|| RemoteError::NoBase(name.clone()))?,
            None => return Err(RemoteError::NoBase(name)),
        };
        let base = GitRef::try_from(name).map_err(|error| RemoteError::NoBase(error.to_string()))?;
        Ok(Heads { base, base_tip, own_tip: tip(&own) })
    }

    /// Fetches the newest commits of a branch, so many and no more of its history; gives the id of the newest.
    pub(crate) async fn fetch(&self, branch: &str, commits: usize) -> Result<String, RemoteError> {
        let (refspec, depth) = (format!("+refs/heads/{branch}:{FETCHED}"), format!("--depth={commits}"));
        self.git(&["fetch", "--progress", &depth, "--no-tags", "--", self.request.url.as_str(), &refspec]).await?;
        let fetched = self.git(&["rev-parse", "--verify", &format!("{FETCHED}^{{commit}}")]).await?;
        Ok(String::from_utf8_lossy(&fetched.stdout).trim().to_owned())
    }

    /// Makes `branch` this commit, if it is still what was seen last: `seen`, or not there.
    pub(crate) async fn push(&self, commit: &str, branch: &str, seen: Option<&str>) -> Result<(), RemoteError> {
        let name = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={name}:{}", seen.unwrap_or_default());
        let refspec = format!("{commit}:{name}");
        let url = self.request.url.as_str();
        self.git(&["push", "--porcelain", "--progress", "--no-verify", &lease, "--", url, &refspec]).await.map(drop)
    }

    async fn git(&self, arguments: &[&str]) -> Result<Finished, RemoteError> {
        let RemoteRequest { url, token, limits, git_dir, .. } = self.request;
        let deadline = Instant::now() + limits.total;
        let git = Git { url, token: Some(token), proxy: &self.proxy, limits, deadline };
        let inside = [OsStr::new("-C"), git_dir.as_os_str()].into_iter();
        let arguments: Vec<&OsStr> = inside.chain(arguments.iter().map(OsStr::new)).collect();
        let finished =
            git.run(&arguments, &mut |_| {}).await.map_err(|stopped| RemoteError::stopped(stopped, limits))?;
        match (finished.status.success(), self.proxy.refusal()) {
            (true, _) => Ok(finished),
            (false, Some(refusal)) => Err(RemoteError::Refused(refusal)),
            (false, None) => Err(RemoteError::from_git(&finished, token)),
        }
    }
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
