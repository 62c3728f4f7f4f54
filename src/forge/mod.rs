//! Pull requests and issues on GitHub, GitLab and Gitea (Forgejo), by their APIs and webhooks.
//!
//! Few calls are all that is needed, to look and to write. The libraries there are for it bring a second HTTP stack each, or
//! make their own client, which follows redirects and takes proxies from the environment; a token must do neither.

mod client;
mod gitea;
mod github;
mod gitlab;
mod webhook;

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use url::Url;

use client::Client;
pub(crate) use client::ForgeError;
pub(crate) use webhook::{Headers, NotAsked, asked, verify};

use crate::{
    config::{self, ForgeKind},
    domain::{address::AddressPolicy, source::RepoUrl},
};

/// One repository on a forge. Each method is one request, or a few where an answer has pages.
pub(crate) trait Forge: Debug + Send + Sync {
    /// The pull request of a branch: the open one, else the last that was closed or merged.
    fn find<'a>(&'a self, branch: &'a Branch) -> BoxFuture<'a, Result<Option<Found>, ForgeError>>;

    /// Opens one. `AlreadyThere` when the branch has one: somebody was faster, or an answer was lost.
    fn open<'a>(&'a self, request: &'a Opening) -> BoxFuture<'a, Result<Found, ForgeError>>;

    /// Whether it was said already.
    fn has_comment<'a>(&'a self, said: &'a Said<'a>) -> BoxFuture<'a, Result<bool, ForgeError>>;

    /// Writes one, in Markdown.
    fn comment<'a>(&'a self, issue: u64, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>>;
}

/// A text that a comment on an issue may hold, if the comment is not older than that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) issue: u64,
    pub(crate) since: Timestamp,
    pub(crate) text: &'a str,
}

/// A branch and the one it is to be merged into, in the same repository.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) name: String,
    pub(crate) base: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) branch: Branch,
    pub(crate) title: String,
    /// Markdown.
    pub(crate) body: String,
    pub(crate) draft: bool,
}

/// A pull request that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: u64,
    /// Its page.
    pub(crate) url: String,
    pub(crate) is_open: bool,
}

/// The forge of a repository; none when the repository is not one of its.
pub(crate) fn connect(
    settings: &config::Forge,
    url: &RepoUrl,
    policy: &AddressPolicy,
) -> Result<Option<Box<dyn Forge>>, ForgeError> {
    let Some(repository) = settings.repository(url) else { return Ok(None) };
    let client = Client::new(&settings.api, settings.token.clone(), policy)?;
    Ok(Some(match settings.kind {
        ForgeKind::Github => Box::new(github::GitHub { client, repository }),
        ForgeKind::Gitlab => Box::new(gitlab::GitLab { client, repository }),
        ForgeKind::Gitea => Box::new(gitea::Gitea { client, repository }),
    }))
}

const MAX_PAGE_BYTES: usize = 2048;

/// An address that a forge named, if a browser may be sent there.
fn page(url: &str) -> Result<String, ForgeError> {
    let page = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let page = page.map(String::from).filter(|page| page.len() <= MAX_PAGE_BYTES);
    page.ok_or_else(|| ForgeError::BadAnswer("it names no page".to_owned()))
}
