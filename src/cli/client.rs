//! The API as the command line uses it.

use std::path::Path;

use anyhow::Context;
use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{LOCATION, RANGE},
    multipart,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::event_stream::EventStream;

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

    /// The events after one of them, and on until the task ends.
    pub(super) async fn events(&self, id: &str, after: u64) -> anyhow::Result<EventStream> {
        let request = self.http.get(format!("{}/api/tasks/{id}/events", self.base)).header("Last-Event-ID", after);
        Ok(EventStream::new(self.send(request).await?))
    }

    pub(super) async fn events_so_far(&self, id: &str) -> anyhow::Result<EventStream> {
        let url = format!("{}/api/tasks/{id}/events?follow=false", self.base);
        Ok(EventStream::new(self.send(self.http.get(url)).await?))
    }

    pub(super) async fn log(&self, id: &str, name: &str) -> anyhow::Result<Vec<u8>> {
        let response = self.send(self.http.get(format!("{}/logs/{id}/{name}", self.base))).await?;
        Ok(response.bytes().await?.into())
    }

    /// What came to a file after its first `known` bytes; nothing also while there is no such file.
    pub(super) async fn log_growth(&self, id: &str, name: &str, known: u64) -> anyhow::Result<Vec<u8>> {
        // From the last known byte on: there is always one to send, so that no growth is no error.
        let overlap = known.min(1);
        let request = self.http.get(format!("{}/logs/{id}/{name}", self.base));
        let request = request.header(RANGE, format!("bytes={}-", known - overlap));
        let response =
            request.bearer_auth(self.token.expose_secret()).send().await.map_err(|error| self.away(error))?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => Ok(Vec::new()),
            status if status.is_success() => {
                let bytes = response.bytes().await?;
                Ok(bytes.get(usize::from(overlap > 0)..).unwrap_or_default().to_vec())
            }
            _ => Err(refusal(response).await),
        }
    }

    /// Asks for something to be done, and returns the answer.
    pub(super) async fn post(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(self.http.post(format!("{}{path}", self.base))).await?;
        Ok(response.json().await.unwrap_or_default())
    }

    /// The same, with what is wished for.
    pub(super) async fn post_json(&self, path: &str, wish: &Value) -> anyhow::Result<Value> {
        let response = self.send(self.http.post(format!("{}{path}", self.base)).json(wish)).await?;
        Ok(response.json().await?)
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(self.http.delete(format!("{}{path}", self.base))).await?;
        Ok(())
    }

    /// Says something, once however often it is sent with the same key.
    pub(super) async fn post_once(&self, path: &str, body: &Value, key: Option<&str>) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Ok(self.send(request).await?.json().await?)
    }

    /// The number of the last event of a task so far.
    pub(super) async fn last_event(&self, id: &str) -> anyhow::Result<u64> {
        let mut events = self.events_so_far(id).await?;
        let mut last = 0;
        while let Some(event) = events.next().await? {
            let event: Value = serde_json::from_str(&event)?;
            last = event["seq"].as_u64().unwrap_or(last);
        }
        Ok(last)
    }

    /// The answer to a plain question, to be read as it comes.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Response> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), query)?;
        self.send(self.http.get(url)).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response =
            request.bearer_auth(self.token.expose_secret()).send().await.map_err(|error| self.away(error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn away(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            return anyhow::anyhow!("no server answers at {}; check the address, and that it runs", self.base);
        }
        error.into()
    }
}

/// What the server says of it.
async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let problem: Value = response.json().await.unwrap_or_default();
    match problem["detail"].as_str() {
        Some(detail) => anyhow::anyhow!("{detail}"),
        None => anyhow::anyhow!("the server answered {status}"),
    }
}

fn id_of(response: &Response) -> anyhow::Result<String> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let id = location.and_then(|location| location.rsplit('/').next());
    Ok(id.context("the server named no task")?.to_owned())
}
