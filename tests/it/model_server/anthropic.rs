//! `POST /v1/messages` of Anthropic. Shapes and words: its API reference, "Messages", "Tool use", "Errors" and "Versions".

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{EVENT_STREAM, Received, Refusal, Spoken, Wire, call_id, halves};

pub(super) const WIRE: Wire = Wire { check, answer, stream, stream_type: EVENT_STREAM, error };

/// What the server signs thinking with; it must come back.
const SIGNATURE: &str = "c2lnbmVkIGJ5IHRoZSBtb2RlbCBzZXJ2ZXI=";

fn check(received: &Received, thoughtful: &HashSet<String>) -> Result<(), Refusal> {
    // The reference documents `x-api-key`; its clients send a bearer token since their 2.0.
    if !received.has_header("x-api-key") && !received.has_header("authorization") {
        let message = "x-api-key header is required".to_owned();
        return Err(Refusal { status: 401, kind: "authentication_error", message });
    }
    let version = received.headers.get("anthropic-version").map_or("", String::as_str);
    if !matches!(version, "2023-06-01" | "2026-10-21") {
        return refuse("anthropic-version: header is required");
    }
    let sampling = ["temperature", "top_p", "top_k"];
    if version == "2026-10-21" && sampling.iter().any(|field| received.body.get(field).is_some()) {
        return refuse("temperature: Extra inputs are not permitted");
    }
    let body = &received.body;
    if body["model"].as_str().is_none_or(str::is_empty) {
        return refuse("model: Field required");
    }
    if body["max_tokens"].as_u64().is_none_or(|limit| limit == 0) {
        return refuse("max_tokens: Field required");
    }
    if body.to_string().matches("\"cache_control\"").count() > 4 {
        return refuse("A maximum of 4 blocks with cache_control may be provided.");
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        if !tool["name"].is_string() || tool["input_schema"]["type"] != "object" {
            return refuse("tools.0.input_schema.type: Field required");
        }
    }
    check_turns(&turns(&body["messages"])?, thoughtful)
}

/// Messages as role and blocks; neighbours of one role are one turn.
fn turns(messages: &Value) -> Result<Vec<(String, Vec<Value>)>, Refusal> {
    let mut turns = Vec::<(String, Vec<Value>)>::new();
    for (index, message) in messages.as_array().into_iter().flatten().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant") {
            return Err(refusal(&format!("messages.{index}.role: Input should be 'user' or 'assistant'")));
        }
        let blocks = match &message["content"] {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            Value::Array(blocks) => blocks.clone(),
            _ => Vec::new(),
        };
        if blocks.is_empty() {
            return Err(refusal(&format!("messages.{index}: all messages must have non-empty content")));
        }
        if blocks
            .iter()
            .any(|block| block["type"] == "text" && block["text"].as_str().is_none_or(|text| text.trim().is_empty()))
        {
            return Err(refusal("messages: text content blocks must be non-empty"));
        }
        match turns.last_mut() {
            Some((last, all)) if last == role => all.extend(blocks),
            _ => turns.push((role.to_owned(), blocks)),
        }
    }
    match turns.first() {
        Some((role, _)) if role == "user" => Ok(turns),
        _ => Err(refusal("messages: first message must use the \"user\" role")),
    }
}

fn check_turns(turns: &[(String, Vec<Value>)], thoughtful: &HashSet<String>) -> Result<(), Refusal> {
    let mut open = HashSet::<&str>::new();
    for (index, (role, blocks)) in turns.iter().enumerate() {
        let results: Vec<&Value> = blocks.iter().take_while(|block| block["type"] == "tool_result").collect();
        for result in &results {
            if !open.remove(result["tool_use_id"].as_str().unwrap_or_default()) {
                return refuse(&format!(
                    "messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result` blocks"
                ));
            }
        }
        if !open.is_empty() {
            return refuse(&format!(
                "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {open:?}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ));
        }
        if blocks.iter().skip(results.len()).any(|block| block["type"] == "tool_result") {
            return refuse("tool_result blocks must come first in the content of a message");
        }
        if role == "assistant" {
            open = check_uses(index, blocks, thoughtful)?;
        }
    }
    if open.is_empty() { Ok(()) } else { refuse("`tool_use` ids were found without `tool_result` blocks") }
}

fn check_uses<'a>(
    index: usize,
    blocks: &'a [Value],
    thoughtful: &HashSet<String>,
) -> Result<HashSet<&'a str>, Refusal> {
    let uses = || blocks.iter().filter(|block| block["type"] == "tool_use");
    if uses().any(|block| !block["input"].is_object()) {
        return Err(refusal(&format!("messages.{index}.content.0.tool_use.input: Input should be a valid dictionary")));
    }
    let ids: HashSet<&str> = uses().filter_map(|block| block["id"].as_str()).collect();
    if ids.len() < uses().count() {
        return Err(refusal("messages: `tool_use` ids must be unique"));
    }
    let first = &blocks[0];
    let is_signed = first["type"] == "thinking" && first["signature"] == SIGNATURE;
    if ids.iter().any(|id| thoughtful.contains(*id)) && !is_signed {
        return Err(refusal("Expected `thinking` or `redacted_thinking`, but found `tool_use`"));
    }
    Ok(ids)
}

fn answer(spoken: &Spoken, model: &str, number: usize) -> Value {
    let thinking = spoken
        .thinking
        .iter()
        .map(|thinking| json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
    let text = (!spoken.text.is_empty()).then(|| json!({"type": "text", "text": spoken.text, "citations": null}));
    let calls = spoken.calls.iter().enumerate().map(|(index, call)| {
        json!({"type": "tool_use", "id": call_id(number, index), "name": call.name, "input": call.arguments})
    });
    let stop_reason = match (spoken.cut_by_limit, spoken.calls.is_empty()) {
        (true, _) => "max_tokens",
        (false, true) => "end_turn",
        (false, false) => "tool_use",
    };
    json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": model,
        "content": thinking.chain(text).chain(calls).collect::<Vec<_>>(),
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {
            "input_tokens": spoken.input - spoken.cached, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": spoken.cached, "output_tokens": spoken.output, "service_tier": "standard"
        }
    })
}

fn stream(answer: &Value) -> Vec<String> {
    let event = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let mut start = answer.clone();
    (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({"type": "message_start", "message": start}), json!({"type": "ping"})];
    for (index, block) in answer["content"].as_array().unwrap().iter().enumerate() {
        let mut deltas = Vec::new();
        let mut begun = block.clone();
        let mut piecewise = |field: &str, kind: &str, name: &str, text: String| {
            begun[field] = if field == "input" { json!({}) } else { json!("") };
            deltas.extend(halves(&text).map(|half| json!({"type": kind, name: half})));
        };
        let text = |field: &str| block[field].as_str().unwrap().to_owned();
        match block["type"].as_str().unwrap() {
            "text" => piecewise("text", "text_delta", "text", text("text")),
            "tool_use" => piecewise("input", "input_json_delta", "partial_json", block["input"].to_string()),
            _ => {
                piecewise("thinking", "thinking_delta", "thinking", text("thinking"));
                piecewise("signature", "signature_delta", "signature", text("signature"));
            }
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        let deltas = deltas.into_iter();
        events.extend(deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({
        "type": "message_delta", "delta": {"stop_reason": answer["stop_reason"], "stop_sequence": null},
        "usage": {"output_tokens": answer["usage"]["output_tokens"]}
    }));
    events.push(json!({"type": "message_stop"}));
    events.into_iter().map(event).collect()
}

fn error(refusal: &Refusal) -> Value {
    let kind = match refusal.status {
        401 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => refusal.kind,
    };
    json!({"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": "req_1"})
}

fn refuse(message: &str) -> Result<(), Refusal> {
    Err(refusal(message))
}

fn refusal(message: &str) -> Refusal {
    Refusal { status: 400, kind: "invalid_request_error", message: message.to_owned() }
}
