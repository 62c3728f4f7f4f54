//! genai's answer in our words: text, tool calls, what to replay, usage.

use std::collections::HashSet;

use genai::chat::{ChatResponse, ContentPart, MessageContent, StopReason};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::super::{Answer, LlmError, Request};
use super::{HostedKind, HostedSettings, exchange::MAX_BODY_BYTES, trouble};
use crate::domain::conversation::{AssistantMessage, ToolCall};
use crate::domain::usage::Usage;
use crate::redact;

pub(super) fn answer(
    settings: &HostedSettings,
    request: &Request<'_>,
    response: ChatResponse,
) -> Result<Answer, LlmError> {
    let name = &settings.name;
    let body = response.captured_raw_body.unwrap_or_default();
    let raw = redact::mask(&format!("{body:#}")).into_owned();
    let usage = usage(settings, request, &response.usage, raw.len());
    let bad = |message: String| Err(LlmError::BadOutput { message, usage });
    if let Some(error) = trouble::inside_answer(settings, request, &body) {
        return Err(error);
    }
    if raw.len() > MAX_BODY_BYTES {
        return bad(format!("{name} answered with {} MB, more than the 10 MB allowed", raw.len() >> 20));
    }
    if settings.kind.is_openai() && body.pointer("/choices/0/message").is_none() {
        return bad(format!("{name} answered with JSON that is no chat completion; check base_url"));
    }
    // What the model says goes into the container: nothing of the server may be in it, whoever put it there.
    let Ok(content) = redact::masked(response.content) else {
        return bad(format!("{name} answered with a secret of the server in a place where it cannot be masked"));
    };
    if body.pointer("/incomplete_details/reason").is_some_and(|reason| reason == "content_filter") {
        return Err(withheld(name, "content_filter"));
    }
    let mut parts = content.into_parts();
    give_calls_their_own_ids(&mut parts);
    let text = joined_text(&parts);
    match response.stop_reason {
        Some(StopReason::MaxTokens(_)) => {
            let limit = request.max_output_tokens;
            let message = format!(
                "the model {name}/{} needed more than {limit} tokens for one answer; raise max_output_tokens",
                request.model_id
            );
            return Err(LlmError::Truncated { message, text, usage });
        }
        Some(StopReason::ContentFilter(reason)) => {
            return Err(withheld(name, &reason));
        }
        _ => {}
    }
    let tool_calls = tool_calls(&parts);
    if let (Some(thought), false) = (thought_to_send_back(&body), tool_calls.is_empty()) {
        parts.push(ContentPart::ReasoningContent(thought));
    }
    let message = AssistantMessage { text, tool_calls, replay: replay(settings.kind, parts) };
    Ok(Answer { message, usage, raw })
}

fn withheld(name: &str, reason: &str) -> LlmError {
    let reason = redact::mask(reason);
    let message = format!("{name} withheld the answer ({reason}); word the task differently or use another model");
    LlmError::Refused { status: None, message }
}

/// The parts that [`answer`] put into `AssistantMessage::replay`, unless another provider wrote them.
pub(super) fn replayed(kind: HostedKind, replay: &Value) -> Option<Vec<ContentPart>> {
    if replay.get("kind")?.as_str()? != format!("{kind:?}") {
        return None;
    }
    MessageContent::deserialize(replay.get("parts")?).ok().map(MessageContent::into_parts)
}

/// Signed thinking has to come back exactly, and in its place among the other parts; without any there is nothing to keep.
fn replay(kind: HostedKind, parts: Vec<ContentPart>) -> Option<Value> {
    let plain = |part: &ContentPart| matches!(part, ContentPart::Text(_) | ContentPart::ToolCall(_));
    if parts.iter().all(plain) {
        return None;
    }
    let parts = serde_json::to_value(MessageContent::from_parts(parts)).ok()?;
    Some(json!({"kind": format!("{kind:?}"), "parts": parts}))
}

/// DeepSeek, Kimi and others want `reasoning_content` back while tools are at work. Who calls it otherwise (Groq, Mistral)
/// refuses a message with that field.
fn thought_to_send_back(body: &Value) -> Option<String> {
    let thought = body.pointer("/choices/0/message/reasoning_content")?.as_str()?;
    (!thought.is_empty()).then(|| thought.to_owned())
}

fn joined_text(parts: &[ContentPart]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(ContentPart::as_text).collect();
    texts.join("\n\n")
}

fn tool_calls(parts: &[ContentPart]) -> Vec<ToolCall> {
    parts
        .iter()
        .filter_map(ContentPart::as_tool_call)
        .map(|call| ToolCall {
            id: call.call_id.clone(),
            name: call.fn_name.clone(),
            arguments: call.fn_arguments.clone(),
        })
        .collect()
}

/// Results find their calls by id; small models and their servers leave ids out or use one twice.
fn give_calls_their_own_ids(parts: &mut [ContentPart]) {
    let mut used = HashSet::new();
    for (index, part) in parts.iter_mut().enumerate() {
        if let ContentPart::ToolCall(call) = part {
            if call.call_id.is_empty() || used.contains(&call.call_id) {
                call.call_id = format!("call_{index}_{}", call.call_id);
            }
            used.insert(call.call_id.clone());
        }
    }
}

fn usage(settings: &HostedSettings, request: &Request<'_>, reported: &genai::chat::Usage, raw_bytes: usize) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let details = reported.prompt_tokens_details.as_ref();
    let usage = Usage {
        input_tokens: count(reported.prompt_tokens).unwrap_or_default(),
        cached_tokens: count(details.and_then(|details| details.cached_tokens)).unwrap_or_default(),
        output_tokens: count(reported.completion_tokens).unwrap_or_default(),
        cost_usd: None,
    };
    if usage.tokens() == 0 { guessed(settings, request, raw_bytes) } else { priced(settings, request, usage) }
}

/// Of an answer without a word about it: four bytes a token, so that limits hold.
pub(super) fn guessed(settings: &HostedSettings, request: &Request<'_>, answer_bytes: usize) -> Usage {
    let sent = serde_json::to_vec(request.messages).map_or(0, |bytes| bytes.len());
    let usage = Usage { input_tokens: sent as u64 / 4, output_tokens: answer_bytes as u64 / 4, ..Usage::default() };
    priced(settings, request, usage)
}

fn priced(settings: &HostedSettings, request: &Request<'_>, usage: Usage) -> Usage {
    Usage { cost_usd: settings.prices.get(request.model_id).map(|price| price.cost(&usage)), ..usage }
}
