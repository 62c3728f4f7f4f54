//! GitLab, in the cloud or one's own: <https://docs.gitlab.com/api/merge_requests/>.

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
pub(super) struct GitLab {
    pub(super) client: Client,
    /// The whole path of the project, with its groups.
    pub(super) repository: String,
}

#[derive(Debug, Deserialize)]
struct MergeRequest {
    /// The number that people see.
    iid: u64,
    web_url: String,
    /// `opened`, `closed`, `merged` or `locked`.
    state: String,
}

impl GitLab {
    /// The path of the project is one part of the address, with its slashes escaped.
    fn merge_requests(&self) -> [&str; 3] {
        ["projects", &self.repository, "merge_requests"]
    }

    fn comments<'a>(&'a self, number: &'a str) -> [&'a str; 5] {
        ["projects", &self.repository, "issues", number, "notes"]
    }

    fn headers(&self) -> Result<HeaderMap, ForgeError> {
        with_token("private-token", self.client.secret()?)
    }
}

impl MergeRequest {
    fn found(&self) -> Result<Found, ForgeError> {
        let is_open = matches!(&*self.state, "opened" | "locked");
        Ok(Found { number: self.iid, url: page(&self.web_url)?, is_open })
    }
}

impl Forge for GitLab {
    fn find<'a>(&'a self, branch: &'a Branch) -> BoxFuture<'a, Result<Option<Found>, ForgeError>> {
        Box::pin(async move {
            let query =
                [("source_branch", &*branch.name), ("state", "all"), ("order_by", "created_at"), ("sort", "desc")];
            let requests: Vec<MergeRequest> = self.client.get(&self.merge_requests(), &query, self.headers()?).await?;
            let found = requests.iter().find(|request| request.state == "opened").or(requests.first());
            found.map(MergeRequest::found).transpose()
        })
    }

    fn open<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Found, ForgeError>> {
        Box::pin(async move {
            let Opening { branch, title, body, draft } = opening;
            let title = if *draft { format!("Draft: {title}") } else { title.clone() };
            let body = json!({
                "source_branch": branch.name,
                "target_branch": branch.base,
                "title": title,
                "description": body,
                "remove_source_branch": true,
            });
            let opened: MergeRequest = self.client.post(&self.merge_requests(), &body, self.headers()?).await?;
            opened.found()
        })
    }

    fn has_comment<'a>(&'a self, said: &'a Said<'a>) -> BoxFuture<'a, Result<bool, ForgeError>> {
        Box::pin(async move {
            let number = said.issue.to_string();
            let query = [("per_page", "100"), ("order_by", "created_at"), ("sort", "desc")];
            self.client.has_comment(&self.comments(&number), &query, self.headers()?, said.text).await
        })
    }

    fn comment<'a>(&'a self, issue: u64, body: &'a str) -> BoxFuture<'a, Result<(), ForgeError>> {
        Box::pin(async move { self.client.comment(&self.comments(&issue.to_string()), body, self.headers()?).await })
    }
}
