//! Answers that genai throws away whole for one tool call it cannot read.
//!
//! For `/chat/completions` genai 0.7 parses the arguments of a tool call, which come as a string, and fails the whole answer when
//! they are no JSON, are the empty string (common for tools without parameters), or when an `id` or `type` is missing (some
//! servers). The model then never learns of its mistake, and the answer was paid for. So the message is read here again, more
//! kindly: what is no JSON is handed on as a string, and whoever runs the tool tells the model.

use genai::Error;
use genai::chat::{ChatResponse, ContentPart, MessageContent, StopReason, ToolCall};
use serde_json::{Value, json};

use super::HostedKind;

/// The answer inside the error, when there is one.
pub(super) fn response(kind: HostedKind, error: &Error) -> Option<ChatResponse> {
    let Error::ChatResponseGeneration { model_iden, response_body, .. } = error else { return None };
    if !kind.is_openai() {
        return None;
    }
    let choice = response_body.pointer("/choices/0")?;
    let calls = choice.pointer("/message/tool_calls")?.as_array()?;
    let text = choice.pointer("/message/content").and_then(Value::as_str).filter(|text| !text.is_empty());
    let parts: Vec<ContentPart> = text
        .map(ContentPart::from_text)
        .into_iter()
        .chain(calls.iter().map(tool_call).map(ContentPart::ToolCall))
        .collect();
    Some(ChatResponse {
        content: MessageContent::from_parts(parts),
        reasoning_content: None,
        model_iden: model_iden.clone(),
        provider_model_iden: model_iden.clone(),
        stop_reason: choice["finish_reason"].as_str().map(|reason| StopReason::from(reason.to_owned())),
        usage: serde_json::from_value(response_body["usage"].clone()).unwrap_or_default(),
        captured_raw_body: Some(response_body.as_ref().clone()),
        response_id: None,
    })
}

fn tool_call(call: &Value) -> ToolCall {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fn_arguments = match &call["function"]["arguments"] {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        other => other.clone(),
    };
    ToolCall {
        call_id: text(&call["id"]),
        fn_name: text(&call["function"]["name"]),
        fn_arguments,
        thought_signatures: None,
    }
}
