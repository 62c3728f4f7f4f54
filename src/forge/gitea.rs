//! Gitea and Forgejo: `/api/swagger` of any such server.

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{
    Branch, Forge, ForgeError, Found, Opening, Said,
    client::{Client, with_token},
    page,
};

#[derive(Debug)]
pub(super) struct Gitea {
    pub(super) client: Client,
    /// `owner/name`
    pub(super) repository: String,
}

#[derive(Debug, Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    /// `open` or `closed`; a merged one is closed.
    state: String,
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    r#ref: String,
    /// As it was named when the request was opened; `ref` of a branch that is gone is `refs/pull/…`.
    #[serde(default)]
    label: String,
}

/// The list cannot be asked for one branch; it comes newest first, and ours is new.
const PAGES: u32 = 4;
/// A server may give fewer.
const PER_PAGE: &str = "50";

impl Gitea {
    fn pulls(&self) -> Vec<&str> {
        ["repos"].into_iter().chain(self.repository.split('/')).chain(["pulls"]).collect()
    }

    /// Of these two branches, by an address that older servers do not have; some only name what is open.
    async fn of_branches(&self, branch: &Branch) -> Result<Option<Found>, ForgeError> {
        let mut parts = self.pulls();
        parts.push(&branch.base);
        parts.extend(branch.name.split('/'));
        match self.client.get::<Pull>(&parts, &[], self.headers()?).await {
            Ok(pull) => pull.found().map(Some),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn comments<'a>(&'a self, number: &'a str) -> Vec<&'a str> {
        ["repos"].into_iter().chain(self.repository.split('/')).chain(["issues", number, "comments"]).collect()
    }

    fn headers(&self) -> Result<HeaderMap, ForgeError> {
        with_token("authorization", &format!("token {}", self.client.secret()?))
    }
}

impl Pull {
    fn is_of(&self, branch: &str) -> bool {
        self.head.r#ref == branch || self.head.label == branch || self.head.label.ends_with(&format!(":{branch}"))
    }

    fn found(&self) -> Result<Found, ForgeError> {
        Ok(Found { number: self.number, url: page(&self.html_url)?, is_open: self.state == "open" })
    }
}

impl Forge for Gitea {
    fn find<'a>(&'a self, branch: &'a Branch) -> BoxFuture<'a, Result<Option<Found>, ForgeError>> {
        Box::pin(async move {
            if let Some(found) = self.of_branches(branch).await? {
                return Ok(Some(found));
            }
            let mut closed = None;
            for number in 1..=PAGES {
                let number = number.to_string();
                let query = [("state", "all"), ("sort", "recentupdate"), ("limit", PER_PAGE), ("page", &*number)];
                let pulls: Vec<Pull> = self.client.get(&self.pulls(), &query, self.headers()?).await?;
                for pull in pulls.iter().filter(|pull| pull.is_of(&branch.name)) {
                    let found = pull.found()?;
                    if found.is_open {
                        return Ok(Some(found));
                    }
                    closed.get_or_insert(found);
                }
                if pulls.is_empty() {
                    break;
                }
            }
            Ok(closed)
        })
    }

    fn open<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Found, ForgeError>> {
        Box::pin(async move {
            let Opening { branch, title, body, draft } = opening;
            // A title that begins like this makes a draft.
            let title = if *draft { format!("WIP: {title}") } else { title.clone() };
            let body = json!({ "title": title, "body": body, "head": branch.name, "base": branch.base });
            let opened: Pull = self.client.post(&self.pulls(), &body, self.headers()?).await?;
            opened.found()
        })
    }

    fn has_comment<'a>(&'a self, said: &'a Said<'a>) -> BoxFuture<'a, Result<bool, ForgeError>> {
        Box::pin(async move {
            let number = said.issue.to_string();
            let query = [("since", &*said.since.to_string())];
            self.client.has_comment(&self.comments(&number), &query, self.headers()?, said.text).await
        })
    }

    fn comment<'a>(&'a self, issue: u64, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>> {
        Box::pin(async move { self.client.comment(&self.comments(&issue.to_string()), body, self.headers()?).await })
    }
}
