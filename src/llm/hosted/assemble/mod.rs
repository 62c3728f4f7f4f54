//! A streamed answer put together: the body the provider would have sent without streaming, which genai can read.

use serde_json::Value;

use super::HostedKind;

mod anthropic;
mod chat;
mod gemini;
mod ollama;
mod responses;

/// What an event brought.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing of the answer: a ping, a repetition. It does not count as a sign of life.
    Nothing,
    Content,
    /// The last event.
    End,
    /// The provider gave up; this is the body with the error, in the shape it has without streaming.
    Failed(Value),
}

/// Collects the events of one answer.
pub(super) trait Assemble: Send {
    fn push(&mut self, event: Value) -> Step;

    /// Whether the provider said that the answer is whole. What may still come is of no weight.
    fn is_whole(&self) -> bool;

    fn into_body(self: Box<Self>) -> Value;
}

pub(super) fn assembler(kind: HostedKind) -> Box<dyn Assemble> {
    match kind {
        HostedKind::OpenAi | HostedKind::DeepSeek => Box::<chat::Chat>::default(),
        HostedKind::OpenAiResponses => Box::<responses::Events>::default(),
        HostedKind::Anthropic => Box::<anthropic::Messages>::default(),
        HostedKind::Gemini => Box::<gemini::Chunks>::default(),
        HostedKind::Ollama => Box::<ollama::Lines>::default(),
    }
}

/// Reads one event of whatever provider.
pub(super) fn take(answer: &mut dyn Assemble, event: &str) -> Result<Step, serde_json::Error> {
    if event.trim() == "[DONE]" {
        return Ok(Step::End);
    }
    let event: Value = serde_json::from_str(event)?;
    if event.get("error").is_some_and(|error| !error.is_null()) {
        return Ok(Step::Failed(event));
    }
    Ok(answer.push(event))
}

/// Adds the text at `key` to what is there; whether there was any.
fn append(to: &mut String, from: &Value) -> bool {
    let piece = from.as_str().unwrap_or_default();
    to.push_str(piece);
    !piece.is_empty()
}

/// Copies what the event says of itself (id, model) and an earlier event did not.
fn keep_new(known: &mut serde_json::Map<String, Value>, event: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = event.get(name).filter(|value| !value.is_null()) {
            known.entry(*name).or_insert_with(|| value.clone());
        }
    }
}
