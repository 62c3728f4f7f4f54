//! `POST /v1/chat/completions` of OpenAI, and the same of DeepSeek.
//! Shapes: the OpenAI API reference, "Create chat completion"; DeepSeek's API docs, "Thinking mode" and "Tool calls".

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{EVENT_STREAM, Received, Refusal, Spoken, Wire, call_id, data_event, halves};

pub(super) const OPENAI: Wire = Wire { check: check_with_key, answer, stream, stream_type: EVENT_STREAM, error };
pub(super) const ANONYMOUS: Wire = Wire { check: |received, _| check(received), ..OPENAI };
pub(super) const DEEPSEEK: Wire = Wire { check: check_deepseek, answer: answer_deepseek, ..OPENAI };

const KNOWN_FIELDS: [&str; 17] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_completion_tokens",
    "max_tokens",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "user",
    "reasoning_effort",
    "response_format",
    "store",
];

pub(super) fn check_key(received: &Received) -> Result<(), Refusal> {
    let bearer = received.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if bearer.is_none_or(|key| key.trim().is_empty()) {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth";
        return Err(Refusal { status: 401, kind: "invalid_request_error", message: message.to_owned() });
    }
    Ok(())
}

fn check_with_key(received: &Received, _: &HashSet<String>) -> Result<(), Refusal> {
    check_key(received)?;
    let model = received.body["model"].as_str().unwrap_or_default();
    if model.starts_with("gpt-5") && received.body.get("max_tokens").is_some() {
        return refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
    }
    check(received)
}

fn check_deepseek(received: &Received, thoughtful: &HashSet<String>) -> Result<(), Refusal> {
    check_with_key(received, thoughtful)?;
    for message in received.body["messages"].as_array().into_iter().flatten() {
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let was_thought = calls.filter_map(|call| call["id"].as_str()).any(|id| thoughtful.contains(id));
        if was_thought && message["reasoning_content"].as_str().is_none() {
            return refuse("Missing `reasoning_content` field in the assistant message");
        }
    }
    Ok(())
}

fn check(received: &Received) -> Result<(), Refusal> {
    let body = &received.body;
    let Some(fields) = body.as_object() else { return refuse("We could not parse the JSON body of your request.") };
    if let Some(field) = fields.keys().find(|field| !KNOWN_FIELDS.contains(&field.as_str())) {
        return refuse(&format!("Unrecognized request argument supplied: {field}"));
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return refuse("you must provide a model parameter");
    }
    if body.get("stream_options").is_some() && body["stream"] != true {
        return refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    check_tools(body)?;
    let Some(messages) = body["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return refuse("Invalid 'messages': empty array. Expected an array with minimum length 1");
    };
    let mut open = HashSet::<&str>::new();
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if !open.remove(id) {
                return refuse(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                );
            }
        } else if !open.is_empty() {
            return unanswered(&open);
        }
        if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool") {
            return refuse(&format!("Invalid value: '{role}' for messages[{index}].role"));
        }
        let has_calls = message.get("tool_calls").is_some();
        if !(message["content"].is_string() || message["content"].is_array() || (role == "assistant" && has_calls)) {
            return refuse(&format!("Invalid value for 'content': expected a string, got null. (messages[{index}])"));
        }
        if has_calls {
            open = check_calls(index, message)?;
        }
    }
    if open.is_empty() { Ok(()) } else { unanswered(&open) }
}

fn check_calls(index: usize, message: &Value) -> Result<HashSet<&str>, Refusal> {
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let well_formed = |call: &Value| {
        call["type"] == "function" && call["function"]["name"].is_string() && call["function"]["arguments"].is_string()
    };
    if calls.is_empty() || !calls.iter().all(well_formed) {
        return Err(refusal(&format!("Invalid 'messages[{index}].tool_calls'")));
    }
    let ids: HashSet<&str> = calls.iter().filter_map(|call| call["id"].as_str()).collect();
    if ids.len() == calls.len() {
        Ok(ids)
    } else {
        Err(refusal(&format!("Duplicate value for 'messages[{index}].tool_calls.id'")))
    }
}

fn check_tools(body: &Value) -> Result<(), Refusal> {
    let Some(tools) = body.get("tools") else { return Ok(()) };
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() {
        return refuse(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        );
    }
    let name_ok = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let ok = |tool: &Value| {
        let function = &tool["function"];
        tool["type"] == "function"
            && function["name"].as_str().is_some_and(name_ok)
            && function["parameters"]["type"] == "object"
    };
    if tools.iter().all(ok) { Ok(()) } else { refuse("Invalid schema for function") }
}

fn answer(spoken: &Spoken, model: &str, number: usize) -> Value {
    let content = if spoken.text.is_empty() { Value::Null } else { json!(spoken.text) };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    let finish = match (spoken.cut_by_limit, spoken.calls.is_empty()) {
        (true, _) => "length",
        (false, true) => "stop",
        (false, false) => "tool_calls",
    };
    if !spoken.calls.is_empty() {
        let calls = spoken.calls.iter().enumerate().map(|(index, call)| {
            let function = json!({"name": call.name, "arguments": call.arguments_text()});
            json!({"id": call_id(number, index), "type": "function", "function": function})
        });
        message["tool_calls"] = calls.collect();
    }
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1_763_600_000, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": spoken.input, "completion_tokens": spoken.output, "total_tokens": spoken.input + spoken.output,
            "prompt_tokens_details": {"cached_tokens": spoken.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}
        },
        "service_tier": "default", "system_fingerprint": null
    })
}

fn answer_deepseek(spoken: &Spoken, model: &str, number: usize) -> Value {
    let mut answer = answer(spoken, model, number);
    answer["usage"]["prompt_cache_hit_tokens"] = json!(spoken.cached);
    answer["usage"]["prompt_cache_miss_tokens"] = json!(spoken.input - spoken.cached);
    if let Some(thinking) = &spoken.thinking {
        answer["choices"][0]["message"]["reasoning_content"] = json!(thinking);
    }
    answer
}

fn stream(answer: &Value) -> Vec<String> {
    let chunk = |choices: Value, usage: &Value| {
        data_event(&json!({
            "id": answer["id"], "object": "chat.completion.chunk", "created": answer["created"], "model": answer["model"],
            "service_tier": "default", "system_fingerprint": null, "choices": choices, "usage": usage
        }))
    };
    let piece = |delta: Value, finish: &Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        chunk(json!([choice]), &Value::Null)
    };
    let message = &answer["choices"][0]["message"];
    let mut pieces = vec![piece(json!({"role": "assistant", "content": "", "refusal": null}), &Value::Null)];
    for field in ["reasoning_content", "content"] {
        let text = message[field].as_str().unwrap_or_default();
        pieces.extend(halves(text).map(|half| piece(json!({field: half}), &Value::Null)));
    }
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let function = json!({"name": call["function"]["name"], "arguments": ""});
        let start = json!({"index": index, "id": call["id"], "type": "function", "function": function});
        pieces.push(piece(json!({"tool_calls": [start]}), &Value::Null));
        for half in halves(call["function"]["arguments"].as_str().unwrap()) {
            let more = json!({"index": index, "function": {"arguments": half}});
            pieces.push(piece(json!({"tool_calls": [more]}), &Value::Null));
        }
    }
    pieces.push(piece(json!({}), &answer["choices"][0]["finish_reason"]));
    pieces.push(chunk(json!([]), &answer["usage"]));
    pieces.push("data: [DONE]\n\n".to_owned());
    pieces
}

pub(super) fn error(refusal: &Refusal) -> Value {
    json!({"error": {"message": refusal.message, "type": refusal.kind, "param": null, "code": null}})
}

fn unanswered(open: &HashSet<&str>) -> Result<(), Refusal> {
    refuse(&format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {open:?}"
    ))
}

fn refuse(message: &str) -> Result<(), Refusal> {
    Err(refusal(message))
}

fn refusal(message: &str) -> Refusal {
    Refusal { status: 400, kind: "invalid_request_error", message: message.to_owned() }
}
