//! A model behind an HTTP interface: one provider of the configuration.
//!
//! `genai` knows the wire formats: it writes the request and reads the answer. What lies between (`relay`, `exchange`) is ours,
//! with its limits of time and size. What genai does that we do not want is put right here and in the files beside:
//! - it guesses the interface, the thinking effort and the name of the token limit from the model id and cuts suffixes
//!   like `-max` off it, so `outgoing` shows it a neutral name and puts the real one into the body;
//! - it gives up on a whole answer for one tool call it cannot read (`repair`), and takes an error inside a
//!   `200 OK` for an empty answer (`incoming`);
//! - its errors print the request and bodies of any size, so `trouble` writes our own.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{Headers, ModelIden, ServiceTarget};
use hyper::{Request as HttpRequest, Response, body::Incoming};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::{Answer, LlmError, Model, Price, Request};

mod assemble;
mod endpoint;
mod events;
mod exchange;
mod incoming;
mod outgoing;
mod relay;
mod repair;
#[cfg(test)]
mod tests;
mod trouble;

use exchange::Exchange;
pub(crate) use exchange::Timeouts;
#[cfg(test)]
pub(super) use tests::test_model;

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
    /// Of one try.
    pub(crate) timeouts: Timeouts,
    /// Whether the provider is asked to stream. One that refuses to is given up on after `first_byte`, not `idle`.
    pub(crate) stream: bool,
    /// By model id. A model without a price has answers of unknown cost.
    pub(crate) prices: HashMap<String, Price>,
}

/// Whose wire format is spoken. `OpenAi` with a `base_url` is the format most others understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostedKind {
    OpenAi,
    /// The same provider's newer interface, `/responses`.
    OpenAiResponses,
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
    http: reqwest::Client,
    relays: relay::Relays,
}

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
            .connect_timeout(settings.timeouts.connect)
            .build()
            .map_err(|error| SettingsError::Client { name: name(), cause: error.to_string() })?;
        Ok(Self { settings, base_url, http, relays: relay::Relays::default() })
    }

    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LlmError> {
        let kind = self.settings.kind;
        if self.settings.key().is_none() && self.settings.base_url.is_none() && kind != HostedKind::Ollama {
            return Err(trouble::key_missing(&self.settings));
        }
        let relay = self.relays.take().map_err(|error| {
            trouble::unavailable(format!(
                "the server cannot open a socket of its own ({error}): look at its limit of files"
            ))
        })?;
        let endpoint = self.endpoint();
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(endpoint.as_str()),
            auth: self.auth(&endpoint),
            model: ModelIden::new(kind.adapter(), outgoing::model_name(kind, request.model_id)),
        };
        let mut options = outgoing::options(kind, &self.base_url, request);
        if let (HostedKind::Ollama, Some(key)) = (kind, self.settings.key()) {
            // genai sends Ollama no key; one behind a guarding proxy wants it.
            options = options.with_extra_headers(Headers::from(("Authorization", format!("Bearer {key}"))));
        }
        let failed = OnceLock::new();
        let exchange = Exchange {
            settings: &self.settings,
            http: &self.http,
            base_url: &self.base_url,
            max_output_tokens: request.max_output_tokens,
            hold: request.hold,
            begun: Mutex::default(),
        };
        let carry = async |request: HttpRequest<Incoming>| {
            exchange.run(request).await.unwrap_or_else(|error| {
                // genai learns only that it failed; the reason stays here.
                let _ = failed.set(error);
                Response::default()
            })
        };
        let response = tokio::select! {
            response = relay.client().exec_chat(target, outgoing::chat(kind, request), Some(&options)) => response,
            never = relay.serve(carry) => match never {},
        };
        self.relays.give_back(relay);
        let read = match (failed.into_inner(), response) {
            (Some(error), _) => Err(error),
            (None, Ok(response)) => Ok(response),
            (None, Err(error)) => {
                repair::response(kind, &error).ok_or_else(|| trouble::of(&self.settings, request, error))
            }
        };
        match (read, exchange.given_up().await) {
            (Ok(response), _) => incoming::answer(&self.settings, request, response),
            (Err(error), Some(bytes)) => Err(error.with_usage(incoming::guessed(&self.settings, request, bytes))),
            (Err(error), None) => Err(error),
        }
    }

    /// Where genai is to send its request: into the relay, with the path of the real address.
    fn endpoint(&self) -> String {
        let path = url::Url::parse(&self.base_url).map_or_else(|_| "/".to_owned(), |url| url.path().to_owned());
        format!("{}{path}", relay::ADDRESS)
    }

    fn auth(&self, endpoint: &str) -> AuthData {
        let call = match self.settings.kind {
            HostedKind::OpenAiResponses => "responses",
            HostedKind::OpenAi | HostedKind::DeepSeek => "chat/completions",
            HostedKind::Anthropic | HostedKind::Gemini | HostedKind::Ollama => "",
        };
        match (self.settings.key(), call) {
            (Some(key), _) => AuthData::from_single(key),
            (None, "") => AuthData::from_single(""),
            // A server of one's own may want no key; an `Authorization: Bearer` without one confuses some.
            (None, call) => AuthData::RequestOverride { url: format!("{endpoint}{call}"), headers: Headers::default() },
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
        let Self { settings, base_url, http: _, relays: _ } = self;
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
            Self::OpenAiResponses => AdapterKind::OpenAIResp,
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
