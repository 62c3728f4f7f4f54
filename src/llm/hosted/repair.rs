//! Answers that genai throws away whole for one tool call it cannot read.
//!
//! For `/chat/completions` and `/responses` genai 0.7 parses the arguments of a tool call, which come as a string, and fails the whole answer when
//! they are no JSON, are the empty string (common for tools without parameters), or when an `id` or `type` is missing (some
//! servers). The model then never learns of its mistake, and the answer was paid for. So the message is read here again, more
//! kindly: what is no JSON is handed on as a string, and whoever runs the tool tells the model.

use genai::Error;
use genai::chat::{ChatResponse, ContentPart, MessageContent, StopReason, ToolCall, Usage};
use serde_json::{Value, json};

use super::HostedKind;

/// The answer inside the error, when there is one.
pub(super) fn response(kind: HostedKind, error: &Error) -> Option<ChatResponse> {
    let Error::ChatResponseGeneration { model_iden, response_body, .. } = error else { return None };
    let (parts, stop_reason) = match kind {
        HostedKind::OpenAi | HostedKind::DeepSeek => of_chat(response_body)?,
        HostedKind::OpenAiResponses => of_responses(response_body)?,
        HostedKind::Anthropic | HostedKind::Gemini | HostedKind::Ollama => return None,
    };
    Some(ChatResponse {
        content: MessageContent::from_parts(parts),
        reasoning_content: None,
        model_iden: model_iden.clone(),
        provider_model_iden: model_iden.clone(),
        stop_reason: stop_reason.as_str().map(|reason| StopReason::from(reason.to_owned())),
        usage: usage(&response_body["usage"]),
        captured_raw_body: Some(response_body.as_ref().clone()),
        response_id: None,
    })
}

fn of_chat(body: &Value) -> Option<(Vec<ContentPart>, &Value)> {
    let choice = body.pointer("/choices/0")?;
    let calls = choice.pointer("/message/tool_calls")?.as_array()?;
    let text = choice.pointer("/message/content").and_then(Value::as_str).filter(|text| !text.is_empty());
    let calls = calls.iter().map(|call| tool_call(&call["id"], &call["function"]));
    let parts = text.map(ContentPart::from_text).into_iter().chain(calls).collect();
    Some((parts, &choice["finish_reason"]))
}

fn of_responses(body: &Value) -> Option<(Vec<ContentPart>, &Value)> {
    let mut parts = Vec::new();
    for item in body["output"].as_array()? {
        match item["type"].as_str()? {
            "message" => {
                let texts = item["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
                parts.extend(texts.map(ContentPart::from_text));
            }
            "function_call" => parts.push(tool_call(&item["call_id"], item)),
            "reasoning" => {
                let sealed = item["encrypted_content"].as_str().filter(|sealed| !sealed.is_empty());
                parts.extend(sealed.map(|sealed| ContentPart::ThoughtSignature(sealed.to_owned())));
            }
            _ => {}
        }
    }
    parts.iter().any(|part| part.as_tool_call().is_some()).then_some((parts, &body["status"]))
}

/// Both interfaces count alike, under names of their own.
fn usage(told: &Value) -> Usage {
    let mut told = told.clone();
    if let Value::Object(fields) = &mut told {
        for (name, other) in [
            ("input_tokens", "prompt_tokens"),
            ("input_tokens_details", "prompt_tokens_details"),
            ("output_tokens", "completion_tokens"),
        ] {
            if let Some(value) = fields.remove(name) {
                fields.insert(other.to_owned(), value);
            }
        }
    }
    serde_json::from_value(told).unwrap_or_default()
}

fn tool_call(id: &Value, function: &Value) -> ContentPart {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fn_arguments = match &function["arguments"] {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        other => other.clone(),
    };
    ContentPart::ToolCall(ToolCall {
        call_id: text(id),
        fn_name: text(&function["name"]),
        fn_arguments,
        thought_signatures: None,
    })
}
