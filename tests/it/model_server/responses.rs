//! `POST /v1/responses` of OpenAI. Shapes: the OpenAI API reference, "Responses", "Streaming events" and "Reasoning" (encrypted).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{EVENT_STREAM, Received, Refusal, Spoken, Wire, call_id, halves, openai};

pub(super) const WIRE: Wire = Wire {
    check: |received, thoughtful| openai::check_key(received).and_then(|()| check(received, thoughtful)),
    answer,
    stream,
    stream_type: EVENT_STREAM,
    error: openai::error,
};
pub(super) const ANONYMOUS: Wire = Wire { check, ..WIRE };

const SEALED: &str = "c2VhbGVkIHRob3VnaHQ=";
const KNOWN_FIELDS: [&str; 12] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "stream",
    "store",
    "include",
    "reasoning",
    "text",
];

fn check(received: &Received, thoughtful: &HashSet<String>) -> Result<(), Refusal> {
    let body = &received.body;
    let Some(fields) = body.as_object() else { return refuse("We could not parse the JSON body of your request.") };
    if let Some(field) = fields.keys().find(|field| !KNOWN_FIELDS.contains(&field.as_str())) {
        return refuse(&format!("Unknown parameter: '{field}'."));
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return refuse("Missing required parameter: 'model'.");
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        if tool["type"] != "function" || !tool["name"].is_string() || tool["parameters"]["type"] != "object" {
            return refuse("Invalid value for 'tools[0]'.");
        }
    }
    if body["input"].is_string() {
        return Ok(());
    }
    let Some(items) = body["input"].as_array().filter(|items| !items.is_empty()) else {
        return refuse(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        );
    };
    let (mut open, mut sealed) = (HashSet::<&str>::new(), false);
    for (index, item) in items.iter().enumerate() {
        let id = item["call_id"].as_str().unwrap_or_default();
        match item["type"].as_str().unwrap_or("message") {
            "message" if matches!(item["role"].as_str(), Some("system" | "developer" | "user" | "assistant")) => {
                if !item["content"].is_string() && !item["content"].is_array() {
                    return refuse(&format!("Invalid type for 'input[{index}].content'."));
                }
            }
            "reasoning" => {
                if item["encrypted_content"] != SEALED || !item["summary"].is_array() {
                    return refuse("The encrypted content could not be verified.");
                }
                sealed = true;
            }
            "function_call" => {
                if !item["arguments"].is_string() || !item["name"].is_string() || !open.insert(id) {
                    return refuse(&format!("Invalid value for 'input[{index}]'."));
                }
                if thoughtful.contains(id) && !sealed {
                    return refuse(&format!(
                        "Item 'fc_{id}' of type 'function_call' was provided without its required 'reasoning' item."
                    ));
                }
            }
            "function_call_output" => {
                if !open.remove(id) || !item["output"].is_string() {
                    return refuse(&format!("No tool call found for function call output with call_id {id}."));
                }
            }
            other => return refuse(&format!("Invalid value: '{other}'. (input[{index}])")),
        }
    }
    let mut open = open.into_iter();
    open.next().map_or(Ok(()), |id| refuse(&format!("No tool output found for function call {id}.")))
}

fn answer(spoken: &Spoken, model: &str, number: usize) -> Value {
    let thought = spoken.thinking.as_ref().map(
        |_| json!({"type": "reasoning", "id": format!("rs_{number}"), "summary": [], "encrypted_content": SEALED}),
    );
    let text = (!spoken.text.is_empty()).then(|| {
        let content = json!([{"type": "output_text", "text": spoken.text, "annotations": [], "logprobs": []}]);
        json!({
            "type": "message", "id": format!("msg_{number}"), "role": "assistant", "status": "completed", "content": content
        })
    });
    let calls = spoken.calls.iter().enumerate().map(|(index, call)| {
        let id = call_id(number, index);
        json!({
            "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": call.name, "status": "completed",
            "arguments": call.arguments_text()
        })
    });
    let (status, details) = if spoken.cut_by_limit {
        ("incomplete", json!({"reason": "max_output_tokens"}))
    } else {
        ("completed", Value::Null)
    };
    json!({
        "id": format!("resp_{number}"), "object": "response", "created_at": 1_763_600_000, "status": status,
        "background": false, "error": null, "incomplete_details": details, "instructions": null,
        "max_output_tokens": null, "model": model, "output": thought.into_iter().chain(text).chain(calls).collect::<Vec<_>>(),
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
        "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "metadata": {},
        "usage": {
            "input_tokens": spoken.input, "input_tokens_details": {"cached_tokens": spoken.cached},
            "output_tokens": spoken.output, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": spoken.input + spoken.output
        }
    })
}

fn stream(answer: &Value) -> Vec<String> {
    let mut begun = answer.clone();
    (begun["status"], begun["output"], begun["usage"]) = (json!("in_progress"), json!([]), Value::Null);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (index, item) in answer["output"].as_array().unwrap().iter().enumerate() {
        events.extend(item_events(index, item));
    }
    events.push(json!({"type": format!("response.{}", answer["status"].as_str().unwrap()), "response": answer}));
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    });
    numbered.collect()
}

fn item_events(index: usize, item: &Value) -> Vec<Value> {
    let place = |mut event: Value| {
        event["output_index"] = json!(index);
        event
    };
    let in_part = |mut event: Value| {
        (event["item_id"], event["content_index"]) = (item["id"].clone(), json!(0));
        event
    };
    let mut begun = item.clone();
    let mut events = Vec::new();
    match item["type"].as_str().unwrap() {
        "message" => {
            (begun["content"], begun["status"]) = (json!([]), json!("in_progress"));
            let part = &item["content"][0];
            let text = part["text"].as_str().unwrap();
            let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
            events.push(in_part(json!({"type": "response.content_part.added", "part": empty})));
            events.extend(
                halves(text)
                    .map(|half| in_part(json!({"type": "response.output_text.delta", "delta": half, "logprobs": []}))),
            );
            events.push(in_part(json!({"type": "response.output_text.done", "text": text, "logprobs": []})));
            events.push(in_part(json!({"type": "response.content_part.done", "part": part})));
        }
        "function_call" => {
            (begun["arguments"], begun["status"]) = (json!(""), json!("in_progress"));
            let arguments = item["arguments"].as_str().unwrap();
            events.extend(halves(arguments).map(
                |half| json!({"type": "response.function_call_arguments.delta", "item_id": item["id"], "delta": half}),
            ));
            let done = "response.function_call_arguments.done";
            events.push(json!({"type": done, "item_id": item["id"], "name": item["name"], "arguments": arguments}));
        }
        _ => {}
    }
    let added = json!({"type": "response.output_item.added", "item": begun});
    let done = json!({"type": "response.output_item.done", "item": item});
    [added].into_iter().chain(events).chain([done]).map(place).collect()
}

fn refuse(message: &str) -> Result<(), Refusal> {
    Err(Refusal { status: 400, kind: "invalid_request_error", message: message.to_owned() })
}
