//! GitHub, in the cloud or an Enterprise server: <https://docs.github.com/rest/pulls/pulls>.

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{
    Branch, Forge, ForgeError, Found, Opening, Said,
    client::{Client, with_token},
    page,
};

#[derive(Debug)]
pub(super) struct GitHub {
    pub(super) client: Client,
    /// `owner/name`
    pub(super) repository: String,
}

#[derive(Debug, Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    state: String,
}

impl GitHub {
    fn pulls(&self) -> Vec<&str> {
        ["repos"].into_iter().chain(self.repository.split('/')).chain(["pulls"]).collect()
    }

    fn comments<'a>(&'a self, number: &'a str) -> Vec<&'a str> {
        ["repos"].into_iter().chain(self.repository.split('/')).chain(["issues", number, "comments"]).collect()
    }

    fn headers(&self) -> Result<HeaderMap, ForgeError> {
        let mut headers = with_token("authorization", &format!("Bearer {}", self.client.secret()?))?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        Ok(headers)
    }

    async fn find_one(&self, branch: &Branch) -> Result<Option<Found>, ForgeError> {
        let owner = self.repository.split('/').next().unwrap_or_default();
        let head = format!("{owner}:{}", branch.name);
        let query = [("head", &*head), ("state", "all"), ("sort", "created"), ("direction", "desc")];
        let pulls: Vec<Pull> = self.client.get(&self.pulls(), &query, self.headers()?).await?;
        let found = pulls.iter().find(|pull| pull.state == "open").or(pulls.first());
        found.map(Pull::found).transpose()
    }

    async fn open_one(&self, opening: &Opening, draft: bool) -> Result<Found, ForgeError> {
        let Opening { branch, title, body, .. } = opening;
        let body = json!({ "title": title, "body": body, "head": branch.name, "base": branch.base, "draft": draft });
        let opened: Result<Pull, _> = self.client.post(&self.pulls(), &body, self.headers()?).await;
        match opened {
            Err(ForgeError::Refused(reason)) if reason.contains("already exists") => Err(ForgeError::AlreadyThere),
            opened => opened?.found(),
        }
    }
}

impl Pull {
    fn found(&self) -> Result<Found, ForgeError> {
        Ok(Found { number: self.number, url: page(&self.html_url)?, is_open: self.state == "open" })
    }
}

impl Forge for GitHub {
    fn find<'a>(&'a self, branch: &'a Branch) -> BoxFuture<'a, Result<Option<Found>, ForgeError>> {
        Box::pin(self.find_one(branch))
    }

    fn open<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Found, ForgeError>> {
        Box::pin(async move {
            match self.open_one(opening, opening.draft).await {
                // Private repositories have drafts only with some plans.
                Err(ForgeError::Refused(reason)) if opening.draft && reason.to_lowercase().contains("draft") => {
                    self.open_one(opening, false).await
                }
                opened => opened,
            }
        })
    }

    fn has_comment<'a>(&'a self, said: &'a Said<'a>) -> BoxFuture<'a, Result<bool, ForgeError>> {
        Box::pin(async move {
            let number = said.issue.to_string();
            let query = [("per_page", "100"), ("since", &*said.since.to_string())];
            self.client.has_comment(&self.comments(&number), &query, self.headers()?, said.text).await
        })
    }

    fn comment<'a>(&'a self, issue: u64, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>> {
        Box::pin(async move { self.client.comment(&self.comments(&issue.to_string()), body, self.headers()?).await })
    }
}
