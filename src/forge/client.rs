//! Requests to the API of one forge: to one host and port, at addresses that were judged, without redirects, without proxies
//! of the environment, within limits of time and size.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Method, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::{
    config::GitToken,
    dial::{ask_the_system, resolve},
    domain::{
        address::{AddressError, AddressPolicy},
        failure::{Failure, FailureKind},
    },
};

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    api: Url,
    token: GitToken,
}

/// As every forge tells it.
#[derive(Debug, Deserialize)]
struct Comment {
    body: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgeError {
    #[error("set ${0}, which [forge] names for it, in the environment of the server")]
    NoToken(String),
    #[error(
        "the forge refused the token in ${variable} ({reason}); see that it is valid and may open pull requests there"
    )]
    BadToken { variable: String, reason: String },
    #[error("the forge does not show this repository to the token in ${0}; see that the token is for this repository")]
    NotFound(String),
    #[error("there is a pull request of this branch already")]
    AlreadyThere,
    #[error("the forge refused the pull request: {0}")]
    Refused(String),
    #[error("the forge redirects to another place ({0}); set [forge] base_url to its final address")]
    Redirect(String),
    #[error("the address of the forge's API is not allowed: {0}")]
    Address(#[from] AddressError),
    #[error("the forge does not answer as it should: {0}; try again later")]
    Unavailable(String),
    #[error("the answer of the forge cannot be read: {0}; see that [forge] kind and base_url are right")]
    BadAnswer(String),
}

impl ForgeError {
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::NoToken(_) | Self::BadToken { .. } | Self::NotFound(_) => FailureKind::ForgeLogin,
            Self::AlreadyThere | Self::Refused(_) | Self::BadAnswer(_) => FailureKind::ForgeRefused,
            Self::Redirect(_) => FailureKind::RedirectRefused,
            Self::Address(_) => FailureKind::AddressNotAllowed,
            Self::Unavailable(_) => FailureKind::ForgeUnavailable,
        };
        Failure::new(kind, format!("Publishing failed: {self}."))
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// A page of a hundred pull requests with long texts.
const MAX_ANSWER: usize = 8 << 20;
/// Of an error, as far as anybody reads.
const MAX_REASON: usize = 400;

impl Client {
    pub(super) fn new(api: &Url, token: GitToken, policy: &AddressPolicy) -> Result<Self, ForgeError> {
        let port = api.port_or_known_default().unwrap_or(443);
        // An address needs no name service, so it is judged here.
        match api.host() {
            Some(host @ Host::Ipv4(address)) => policy.permits(&host, port, address.into())?,
            Some(host @ Host::Ipv6(address)) => policy.permits(&host, port, address.into())?,
            _ => {}
        }
        let resolver = JudgedAddresses { policy: policy.clone(), port };
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ForgeError::Unavailable(error.to_string()))?;
        Ok(Self { http, api: api.clone(), token })
    }

    /// The token, for a header.
    pub(super) fn secret(&self) -> Result<&str, ForgeError> {
        let missing = || ForgeError::NoToken(self.token.variable.clone());
        Ok(self.token.token.as_ref().ok_or_else(missing)?.expose_secret())
    }

    /// `headers` hold the token.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        query: &[(&str, &str)],
        headers: HeaderMap,
    ) -> Result<T, ForgeError> {
        let mut url = self.url(parts)?;
        url.query_pairs_mut().extend_pairs(query);
        let (status, body) = self.send(self.http.request(Method::GET, url).headers(headers)).await?;
        self.read(status, &body)
    }

    /// Makes something; the answer is 201.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        parts: &[&str],
        json: &Value,
        headers: HeaderMap,
    ) -> Result<T, ForgeError> {
        let (status, body) =
            self.send(self.http.request(Method::POST, self.url(parts)?).headers(headers).json(json)).await?;
        self.read(status, &body)
    }

    /// Whether one of the comments there holds this text.
    pub(super) async fn has_comment(
        &self,
        parts: &[&str],
        query: &[(&str, &str)],
        headers: HeaderMap,
        text: &str,
    ) -> Result<bool, ForgeError> {
        let comments: Vec<Comment> = self.get(parts, query, headers).await?;
        Ok(comments.iter().any(|comment| comment.body.contains(text)))
    }

    pub(super) async fn comment(&self, parts: &[&str], body: &str, headers: HeaderMap) -> Result<(), ForgeError> {
        let _: Comment = self.post(parts, &json!({ "body": body }), headers).await?;
        Ok(())
    }

    fn url(&self, parts: &[&str]) -> Result<Url, ForgeError> {
        let mut url = self.api.clone();
        url.path_segments_mut()
            .map_err(|()| ForgeError::BadAnswer("its address takes no path".to_owned()))?
            .pop_if_empty()
            .extend(parts);
        Ok(url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), ForgeError> {
        let mut response = request.send().await.map_err(|error| unavailable(&error))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let to: String =
                Url::parse(to).map_or_else(|_| "another path".to_owned(), |to| to.origin().ascii_serialization());
            return Err(ForgeError::Redirect(to));
        }
        let is_limited = status == StatusCode::TOO_MANY_REQUESTS || response.headers().contains_key(RETRY_AFTER);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(ForgeError::BadAnswer("it is too large".to_owned()));
            }
        }
        if status.is_server_error() || is_limited {
            return Err(ForgeError::Unavailable(format!("{status}: {}", reason(&body))));
        }
        Ok((status, body))
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, ForgeError> {
        let variable = self.token.variable.clone();
        match status {
            StatusCode::OK | StatusCode::CREATED => {
                serde_json::from_slice(body).map_err(|error| ForgeError::BadAnswer(error.to_string()))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ForgeError::BadToken { variable, reason: format!("{status}: {}", reason(body)) })
            }
            StatusCode::NOT_FOUND => Err(ForgeError::NotFound(variable)),
            StatusCode::CONFLICT => Err(ForgeError::AlreadyThere),
            _ => Err(ForgeError::Refused(format!("{status}: {}", reason(body)))),
        }
    }
}

/// A header that holds the token.
pub(super) fn with_token(name: &'static str, value: &str) -> Result<HeaderMap, ForgeError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| ForgeError::BadAnswer("the token holds characters that no header takes".to_owned()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), value)]))
}

/// What the forge says: the texts in its answer, whatever their names.
fn reason(body: &[u8]) -> String {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if !text.starts_with("http") => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(fields) => {
                let is_for_people = |name: &&String| !matches!(name.as_str(), "resource" | "code" | "field" | "status");
                fields.iter().filter(|(name, _)| is_for_people(name)).for_each(|(_, value)| texts(value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    match serde_json::from_slice(body) {
        Ok(value) => texts(&value, &mut found),
        Err(_) => found.push(String::from_utf8_lossy(&body[..body.len().min(MAX_REASON)]).into_owned()),
    }
    found.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON).collect()
}

/// The error without the address, which stands in the configuration.
fn unavailable(error: &reqwest::Error) -> ForgeError {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no connection".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    ForgeError::Unavailable(text)
}

/// Names resolve to addresses that may be talked to, or to none.
struct JudgedAddresses {
    policy: AddressPolicy,
    port: u16,
}

impl Resolve for JudgedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, port) = (self.policy.clone(), self.port);
        Box::pin(async move {
            let host = Host::parse(name.as_str())?;
            let found: Vec<SocketAddr> = resolve(&host, port, &policy, &ask_the_system()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
