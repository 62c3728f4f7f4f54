//! `POST /v1beta/models/MODEL:generateContent` of Gemini, and `:streamGenerateContent`.
//! Shapes: its API reference, "Generating content" and "Function calling".

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{EVENT_STREAM, Received, Refusal, Spoken, Wire, call_id, data_event, halves};

pub(super) const WIRE: Wire = Wire { check, answer, stream, stream_type: EVENT_STREAM, error };

const SIGNATURE: &str = "dGhvdWdodA==";

fn check(received: &Received, thoughtful: &HashSet<String>) -> Result<(), Refusal> {
    if !received.has_header("x-goog-api-key") {
        return Err(Refusal {
            status: 403,
            kind: "PERMISSION_DENIED",
            message: "Method doesn't allow unregistered callers".to_owned(),
        });
    }
    if ![":generateContent", ":streamGenerateContent"].iter().any(|method| received.path.ends_with(method)) {
        return Err(Refusal { status: 404, kind: "NOT_FOUND", message: "unknown method".to_owned() });
    }
    let contents = received.body["contents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if contents.is_empty() {
        return refuse("contents is not specified");
    }
    let mut open = 0;
    for content in contents {
        let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if parts.is_empty() || !matches!(content["role"].as_str(), Some("user" | "model")) {
            return refuse("Please use a valid role: user, model, with parts that are not empty.");
        }
        let responses = parts.iter().filter(|part| part.get("functionResponse").is_some()).count();
        if responses != open {
            return refuse(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            );
        }
        let calls = parts.iter().filter(|part| part.get("functionCall").is_some());
        open = calls.clone().count();
        let first = calls.clone().next();
        if first.is_some_and(|part| part["thoughtSignature"] != SIGNATURE) && !thoughtful.is_empty() {
            return refuse("Function call is missing a thought_signature in functionCall parts.");
        }
    }
    Ok(())
}

fn answer(spoken: &Spoken, _: &str, number: usize) -> Value {
    let text = (!spoken.text.is_empty()).then(|| json!({"text": spoken.text}));
    let calls = spoken.calls.iter().enumerate().map(|(index, call)| {
        let mut part =
            json!({"functionCall": {"id": call_id(number, index), "name": call.name, "args": call.arguments}});
        if spoken.thinking.is_some() && index == 0 {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
        part
    });
    json!({
        "candidates": [{
            "content": {"role": "model", "parts": text.into_iter().chain(calls).collect::<Vec<_>>()},
            "finishReason": if spoken.cut_by_limit { "MAX_TOKENS" } else { "STOP" }, "index": 0
        }],
        "usageMetadata": {
            "promptTokenCount": spoken.input, "cachedContentTokenCount": spoken.cached,
            "candidatesTokenCount": spoken.output, "totalTokenCount": spoken.input + spoken.output
        },
        "modelVersion": "gemini"
    })
}

fn stream(answer: &Value) -> Vec<String> {
    let parts = answer["candidates"][0]["content"]["parts"].as_array().unwrap().iter();
    let pieces = parts.flat_map(|part| match part["text"].as_str() {
        Some(text) => halves(text).map(|half| json!({"text": half})).to_vec(),
        None => vec![part.clone()],
    });
    let chunk = |part: Value| {
        let candidate = json!({"content": {"role": "model", "parts": [part]}, "index": 0});
        json!({"candidates": [candidate], "modelVersion": "gemini", "usageMetadata": {"promptTokenCount": 1}})
    };
    let mut chunks: Vec<Value> = pieces.map(chunk).collect();
    let mut last = answer.clone();
    last["candidates"][0]["content"]["parts"] = json!([{"text": ""}]);
    chunks.push(last);
    chunks.iter().map(data_event).collect()
}

fn error(refusal: &Refusal) -> Value {
    json!({"error": {"code": refusal.status, "message": refusal.message, "status": refusal.kind}})
}

fn refuse(message: &str) -> Result<(), Refusal> {
    Err(Refusal { status: 400, kind: "INVALID_ARGUMENT", message: message.to_owned() })
}
