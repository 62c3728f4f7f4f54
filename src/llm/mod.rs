//! The model: a conversation goes in, the next message comes out. Only this room knows the LLM library.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::domain::conversation::{AssistantMessage, Message};
use crate::domain::usage::Usage;

mod counted;
mod door;
mod error;
mod fenced;
mod hold;
mod hosted;
mod listener;
#[cfg(test)]
#[expect(dead_code, reason = "some of it is for `tests/it`")]
#[path = "../../tests/it/model_server/mod.rs"]
mod model_server;
mod models;
mod price;
mod refusals;
mod retry;
mod script;
mod scripted;

pub(crate) use door::Pace;
pub(crate) use error::LlmError;
pub(crate) use fenced::ToolCalls;
pub(crate) use hold::Hold;
pub(crate) use hosted::{HostedKind, HostedSettings, SettingsError, Timeouts};
pub(crate) use listener::Listener;
pub(crate) use models::{Models, ProviderSettings};
pub(crate) use price::Price;
pub(crate) use refusals::Refusal;
pub(crate) use retry::{RetryPolicy, answer_with_retries};
pub(crate) use script::ScriptError;
pub(crate) use scripted::Scripts;

/// Something that answers a conversation.
///
/// Order: the request holds the whole conversation and an answer depends on nothing else; calls may run at the same
/// time and in any order. Whoever calls appends the answer, then one tool result for every tool call, in the order of the calls.
///
/// Idempotence: none. Every call to a hosted model is paid for and may answer differently, so an answer is stored
/// before it is acted upon.
///
/// Cancellation: dropping the future closes the connection. Nothing goes on in the background; the provider may still
/// charge for what it had begun.
///
/// Retries: `answer` makes one try and bounds it in time. [`answer_with_retries`] repeats those that are worth it.
pub(crate) trait Model: Debug + Send + Sync {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>>;
}

/// What the model is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The provider's own name of the model, sent as it is written here.
    pub(crate) model_id: &'a str,
    pub(crate) messages: &'a [Message],
    pub(crate) tools: &'a [Tool],
    /// Thinking counts too. An answer that needs more ends as [`LlmError::Truncated`].
    pub(crate) max_output_tokens: u32,
    pub(crate) listener: Listener<'a>,
    /// Nothing of it leaves before.
    pub(crate) hold: Hold<'a>,
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    /// A JSON schema of type `object`.
    pub(crate) parameters: Value,
}

/// A whole answer; a part of one is never handed out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// Every tool call has an id of its own. Arguments that were no JSON are handed on as a JSON string.
    pub(crate) message: AssistantMessage,
    /// With the cost, when the model has a price. Failed tries that cost something are added by [`answer_with_retries`].
    pub(crate) usage: Usage,
    /// What came over the wire, as JSON, for `llm_response.txt`.
    pub(crate) raw: String,
}
