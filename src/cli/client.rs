//! The API as the command line uses it.

use std::path::Path;

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, Response, header::LOCATION, multipart};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// A server by URL and token.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    /// How people reach it.
    public: String,
    token: SecretString,
}

impl Client {
    pub(super) fn new(base: String, public: String, token: SecretString) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, base, public, token })
    }

    pub(super) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.public)
    }

    /// The link that logs a browser in and leads to `path`.
    pub(super) fn login_link(&self, path: &str) -> String {
        format!("{}/login?token={}&next={path}", self.public, self.token.expose_secret())
    }

    /// Submits a task from a Git URL; returns its id.
    pub(super) async fn submit_json(&self, body: &Value) -> anyhow::Result<String> {
        let request = self.http.post(format!("{}/api/tasks", self.base)).json(body);
        id_of(&self.send(request).await?)
    }

    /// Submits a task with an archive.
    pub(super) async fn submit_archive(
        &self,
        archive: &Path,
        name: &str,
        fields: Vec<(&'static str, String)>,
    ) -> anyhow::Result<String> {
        let file =
            multipart::Part::file(archive).await.with_context(|| format!("cannot read {}", archive.display()))?;
        let mut form = multipart::Form::new();
        for (field, value) in fields {
            form = form.text(field, value);
        }
        let form = form.part("archive", file.file_name(name.to_owned()));
        let request = self.http.post(format!("{}/api/tasks", self.base)).multipart(form);
        id_of(&self.send(request).await?)
    }

    pub(super) async fn task(&self, id: &str) -> anyhow::Result<Value> {
        let response = self.send(self.http.get(format!("{}/api/tasks/{id}", self.base))).await?;
        Ok(response.json().await?)
    }

    pub(super) async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        self.send(self.http.post(format!("{}/api/tasks/{id}/cancel", self.base))).await?;
        Ok(())
    }

    pub(super) async fn events(&self, id: &str, after: u64) -> anyhow::Result<Response> {
        let request = self.http.get(format!("{}/api/tasks/{id}/events", self.base)).header("Last-Event-ID", after);
        self.send(request).await
    }

    pub(super) async fn log(&self, id: &str, name: &str) -> anyhow::Result<Vec<u8>> {
        let response = self.send(self.http.get(format!("{}/logs/{id}/{name}", self.base))).await?;
        Ok(response.bytes().await?.into())
    }

    /// The answer to a plain question, to be read as it comes.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Response> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), query)?;
        self.send(self.http.get(url)).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.bearer_auth(self.token.expose_secret()).send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Value = response.json().await.unwrap_or_default();
        match problem["detail"].as_str() {
            Some(detail) => bail!("{detail}"),
            None => bail!("the server answered {status}"),
        }
    }
}

fn id_of(response: &Response) -> anyhow::Result<String> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let id = location.and_then(|location| location.rsplit('/').next());
    Ok(id.context("the server named no task")?.to_owned())
}
