//! `POST /api/chat` of Ollama. Shapes: `docs/api.md` of ollama/ollama, "Generate a chat completion".

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Received, Refusal, Spoken, Wire, halves};

pub(super) const WIRE: Wire = Wire { check, answer, stream, stream_type: "application/x-ndjson", error };

fn check(received: &Received, _: &HashSet<String>) -> Result<(), Refusal> {
    let body = &received.body;
    if body["model"].as_str().is_none_or(str::is_empty) {
        return refuse("model is required");
    }
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut open = 0;
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "system" | "user" | "assistant" | "tool") {
            return refuse("invalid role");
        }
        if !message["content"].is_string() && message.get("tool_calls").is_none() {
            return refuse("json: cannot unmarshal into Go struct field Message.messages.content of type string");
        }
        let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        if calls.iter().any(|call| !call["function"]["arguments"].is_object()) {
            return refuse(
                "json: cannot unmarshal string into Go struct field .messages.tool_calls.function.arguments of type map",
            );
        }
        // Ollama itself takes fewer results; a model that misses one goes wrong, so the test should see it.
        open += calls.len();
        if role == "tool" {
            open = open.saturating_sub(1);
        } else if open > calls.len() {
            return refuse("a tool call has no result");
        }
    }
    if open > 0 { refuse("a tool call has no result") } else { Ok(()) }
}

fn answer(spoken: &Spoken, model: &str, _: usize) -> Value {
    let mut message = json!({"role": "assistant", "content": spoken.text});
    if let Some(thinking) = &spoken.thinking {
        message["thinking"] = json!(thinking);
    }
    if !spoken.calls.is_empty() {
        let calls =
            spoken.calls.iter().map(|call| json!({"function": {"name": call.name, "arguments": call.arguments}}));
        message["tool_calls"] = calls.collect();
    }
    let done_reason = if spoken.cut_by_limit { "length" } else { "stop" };
    json!({
        "model": model, "created_at": "2026-11-20T08:00:00Z", "message": message, "done": true, "done_reason": done_reason,
        "total_duration": 1, "load_duration": 1, "prompt_eval_count": spoken.input, "prompt_eval_duration": 1,
        "prompt_eval_cached_count": spoken.cached, "eval_count": spoken.output, "eval_duration": 1
    })
}

fn stream(answer: &Value) -> Vec<String> {
    let line = |message: Value| json!({"model": answer["model"], "created_at": answer["created_at"], "message": message, "done": false});
    let message = &answer["message"];
    let mut lines = Vec::new();
    for field in ["thinking", "content"] {
        let pieces = halves(message[field].as_str().unwrap_or_default()).into_iter().filter(|half| !half.is_empty());
        lines.extend(pieces.map(|half| {
            let mut piece = json!({"role": "assistant", "content": ""});
            piece[field] = json!(half);
            line(piece)
        }));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        lines.push(line(json!({"role": "assistant", "content": "", "tool_calls": [call]})));
    }
    let mut last = answer.clone();
    last["message"] = json!({"role": "assistant", "content": ""});
    lines.push(last);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn error(refusal: &Refusal) -> Value {
    json!({"error": refusal.message})
}

fn refuse(message: &str) -> Result<(), Refusal> {
    Err(Refusal { status: 400, kind: "", message: message.to_owned() })
}
