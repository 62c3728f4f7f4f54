//! A model behind an HTTP interface: one provider of the configuration.
//!
//! `genai` knows the wire formats. What it does that we do not want is put right here and in the files beside:
//! - it guesses the interface, the thinking effort and the name of the token limit from the model id and cuts suffixes
//!   like `-max` off it, so `outgoing` shows it a neutral name and puts the real one into the body;
//! - it gives up on a whole answer for one tool call it cannot read (`repair`), and takes an error inside a
//!   `200 OK` for an empty answer (`incoming`);
//! - its errors print the request and bodies of any size, so `trouble` writes our own;
//! - it reads a body whole before anyone can look at its size. The total timeout bounds that, and `incoming` refuses what is
//!   too large, but until then it is in memory.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, Headers, ModelIden, ServiceTarget};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Answer, LlmError, Model, Price, Request};

mod endpoint;
mod incoming;
mod outgoing;
mod repair;
#[cfg(test)]
mod tests;
mod trouble;

/// One section `[llm.providers.NAME]`, with the key read from where it was.
#[derive(Debug)]
pub(crate) struct HostedSettings {
    pub(crate) name: String,
    pub(crate) kind: HostedKind,
    /// The address with the version, as the provider documents it: `https://host/v1`, with or without a slash at the end.
    /// What is missing (`/v1`) is added and what is too much (`/chat/completions`) taken off.
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<SecretString>,
    /// Where the key comes from; messages name it.
    pub(crate) api_key_env: Option<String>,
    /// Bounds one try, from connecting to the last byte. [`HostedSettings::TIMEOUT`] suits most.
    pub(crate) timeout: Duration,
    /// By model id. A model without a price has answers of unknown cost.
    pub(crate) prices: HashMap<String, Price>,
}

/// Whose wire format is spoken. `OpenAi` with a `base_url` is the format most others understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostedKind {
    OpenAi,
    Anthropic,
    DeepSeek,
    Gemini,
    Ollama,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("base_url of [llm.providers.{name}]: {reason}")]
    BaseUrl { name: String, reason: String },
    #[error("the API key of [llm.providers.{name}] has characters that no key has, perhaps a line break; set it again")]
    Key { name: String },
    #[error("the HTTP client for [llm.providers.{name}] does not start: {cause}")]
    Client { name: String, cause: String },
}

/// A provider that is ready to be asked.
pub(super) struct Hosted {
    settings: HostedSettings,
    base_url: String,
    client: Client,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl HostedSettings {
    fn key(&self) -> Option<&str> {
        self.api_key.as_ref().map(SecretString::expose_secret).filter(|key| !key.is_empty())
    }
}

impl Hosted {
    pub(super) fn new(settings: HostedSettings) -> Result<Self, SettingsError> {
        let name = || settings.name.clone();
        let base_url = endpoint::base_url(settings.kind, settings.base_url.as_deref())
            .map_err(|reason| SettingsError::BaseUrl { name: name(), reason })?;
        if settings.key().is_some_and(|key| HeaderValue::from_str(key).is_err()) {
            return Err(SettingsError::Key { name: name() });
        }
        // A redirect would carry the key and the code to another host; a proxy from the environment too.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // genai switches decompression on; a small bomb could then fill the memory.
            .no_gzip()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .build()
            .map_err(|error| SettingsError::Client { name: name(), cause: error.to_string() })?;
        let client = Client::builder()
            .with_reqwest(http)
            .build()
            .map_err(|error| SettingsError::Client { name: name(), cause: error.to_string() })?;
        Ok(Self { settings, base_url, client })
    }

    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LlmError> {
        let kind = self.settings.kind;
        if self.settings.key().is_none() && self.settings.base_url.is_none() && kind != HostedKind::Ollama {
            return Err(trouble::key_missing(&self.settings));
        }
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(self.base_url.as_str()),
            auth: self.auth(),
            model: ModelIden::new(kind.adapter(), outgoing::model_name(kind, request.model_id)),
        };
        let mut options = outgoing::options(kind, &self.base_url, request);
        if let (HostedKind::Ollama, Some(key)) = (kind, self.settings.key()) {
            // genai sends Ollama no key; one behind a guarding proxy wants it.
            options = options.with_extra_headers(Headers::from(("Authorization", format!("Bearer {key}"))));
        }
        let response = self.client.exec_chat(target, outgoing::chat(kind, request), Some(&options)).await;
        let response = match response {
            Ok(response) => response,
            Err(error) => repair::response(kind, &error)
                .ok_or_else(|| trouble::of(&self.settings, &self.base_url, request, error))?,
        };
        incoming::answer(&self.settings, request, response)
    }

    fn auth(&self) -> AuthData {
        match (self.settings.key(), self.settings.kind.is_openai()) {
            (Some(key), _) => AuthData::from_single(key),
            // A server of one's own may want no key; an `Authorization: Bearer` without one confuses some.
            (None, true) => AuthData::RequestOverride {
                url: format!("{}chat/completions", self.base_url),
                headers: Headers::default(),
            },
            (None, false) => AuthData::from_single(""),
        }
    }
}

impl Model for Hosted {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
        Box::pin(self.ask(request))
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, base_url, client: _ } = self;
        formatter
            .debug_struct("Hosted")
            .field("name", &settings.name)
            .field("kind", &settings.kind)
            .field("base_url", base_url)
            .finish_non_exhaustive()
    }
}

impl HostedKind {
    fn adapter(self) -> AdapterKind {
        match self {
            Self::OpenAi => AdapterKind::OpenAI,
            Self::Anthropic => AdapterKind::Anthropic,
            Self::DeepSeek => AdapterKind::DeepSeek,
            Self::Gemini => AdapterKind::Gemini,
            Self::Ollama => AdapterKind::Ollama,
        }
    }

    /// Whether it speaks `/chat/completions`.
    fn is_openai(self) -> bool {
        matches!(self, Self::OpenAi | Self::DeepSeek)
    }
}
