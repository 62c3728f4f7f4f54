//! The branches and tags of a repository, as its server lists them: nothing is fetched.

use std::{ffi::OsStr, path::Path, time::Duration};

use tokio::time::Instant;

use super::{
    clone::{CloneLimits, CloneRequest},
    clone_error::CloneError,
    command::{Git, Stopped},
    proxy::{CloneProxy, Refusal},
};
use crate::{
    config::GitToken,
    domain::{
        address::AddressPolicy,
        source::{GitRef, RepoUrl},
    },
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemoteRefs {
    pub(crate) default: Option<GitRef>,
    /// Branches, the default one first, then tags, the newest names first.
    pub(crate) names: Vec<GitRef>,
}

/// Somebody waits for the answer while they type.
const LONGEST: Duration = Duration::from_secs(10);
const MAX_BYTES: u64 = 8 * 1024 * 1024;
const MAX_NAMES: usize = 1000;

/// Asks the server behind the same proxy and by the same rules as a clone.
pub(crate) async fn list_refs(
    url: &RepoUrl,
    token: Option<&GitToken>,
    policy: &AddressPolicy,
    limits: &CloneLimits,
) -> Result<RemoteRefs, CloneError> {
    policy.check_url(url).map_err(Refusal::Address)?;
    let total = limits.total.min(LONGEST);
    let limits = CloneLimits { total, idle: limits.idle.min(LONGEST), max_bytes: MAX_BYTES, ..limits.clone() };
    let proxy = CloneProxy::start(url, policy.clone(), limits.max_bytes).await.map_err(CloneError::Proxy)?;
    let git = Git { url, token, proxy: &proxy, limits: &limits, deadline: Instant::now() + limits.total };
    // No repository: whatever lies where the server was started has no say.
    let arguments =
        ["--git-dir=/dev/null", "ls-remote", "--symref", "--", url.as_str(), "HEAD", "refs/heads/*", "refs/tags/*"];
    let arguments: Vec<&OsStr> = arguments.into_iter().map(OsStr::new).collect();
    let finished = git.run(&arguments, &mut |_| {}).await.map_err(|stopped| match stopped {
        Stopped::NotStarted(error) => CloneError::GitMissing(error),
        Stopped::Deadline => CloneError::Timeout { limit: limits.total },
        Stopped::Idle => CloneError::Silence { limit: limits.idle },
        Stopped::TooManyObjects | Stopped::TooMuchOutput => {
            CloneError::Git("it said more than anybody reads".to_owned())
        }
    })?;
    match (finished.status.success(), proxy.refusal()) {
        (true, _) => Ok(read(&String::from_utf8_lossy(&finished.stdout))),
        (false, Some(refusal)) => Err(CloneError::Refused(refusal)),
        (false, None) => {
            let request =
                CloneRequest { url, git_ref: None, into: Path::new("/dev/null"), token, policy, limits: &limits };
            Err(CloneError::from_git(&finished.transcript, &request))
        }
    }
}

fn read(listed: &str) -> RemoteRefs {
    let lines: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
    let default = lines.iter().find_map(|(id, name)| id.strip_prefix("ref: refs/heads/").filter(|_| *name == "HEAD"));
    let beneath = |prefix: &str| {
        let names =
            lines.iter().filter_map(|(_, name)| name.strip_prefix(prefix)).filter(|name| !name.ends_with("^{}"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut branches = beneath("refs/heads/");
    branches.sort_by_key(|name| Some(&**name) != default);
    let tags = beneath("refs/tags/").into_iter().rev();
    // A name that could not be asked for is not offered.
    let names = branches.into_iter().chain(tags).filter_map(|name| GitRef::try_from(name).ok()).take(MAX_NAMES);
    RemoteRefs { default: default.and_then(|name| name.parse().ok()), names: names.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_names_that_can_be_asked_for() {
        let listed = "ref: refs/heads/main\tHEAD\n0\tHEAD\n0\trefs/heads/a\n0\trefs/heads/main\n0\trefs/heads/--x\n\
                      0\trefs/tags/v1\n0\trefs/tags/v1^{}\n0\trefs/tags/v2\nnonsense\n";
        let refs = read(listed);
        let names: Vec<_> = refs.names.iter().map(GitRef::as_str).collect();
        assert_eq!((refs.default.unwrap().as_str(), &*names), ("main", &["main", "a", "v2", "v1"][..]));
        assert_eq!(read(""), RemoteRefs::default());
    }
}
