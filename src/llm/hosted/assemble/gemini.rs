//! Chunks of `:streamGenerateContent`, each an answer of its own with the parts that are new. Shapes: Gemini's API reference,
//! `GenerateContentResponse`.

use serde_json::{Map, Value, json};

use super::{Assemble, Step};

#[derive(Debug, Default)]
pub(super) struct Chunks {
    parts: Vec<Value>,
    candidate: Map<String, Value>,
    /// Usage and model; the last chunk has the whole of it.
    rest: Map<String, Value>,
}

impl Assemble for Chunks {
    fn push(&mut self, event: Value) -> Step {
        let Value::Object(mut chunk) = event else { return Step::Nothing };
        let mut candidates = chunk.remove("candidates").unwrap_or_default();
        let mut candidate = candidates.get_mut(0).map(Value::take).unwrap_or_default();
        let parts = candidate.pointer_mut("/content/parts").map(Value::take);
        let parts = parts.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for part in parts {
            self.take_part(part);
        }
        if let Value::Object(candidate) = candidate {
            self.candidate.extend(candidate.into_iter().filter(|(name, value)| name != "content" && !value.is_null()));
        }
        self.rest.extend(chunk);
        if parts.is_empty() && !self.is_whole() { Step::Nothing } else { Step::Content }
    }

    fn is_whole(&self) -> bool {
        let is_blocked = self.rest.get("promptFeedback").is_some_and(|feedback| feedback["blockReason"].is_string());
        is_blocked || self.candidate.contains_key("finishReason")
    }

    fn into_body(self: Box<Self>) -> Value {
        let mut body = self.rest;
        if !self.candidate.is_empty() || !self.parts.is_empty() {
            let mut candidate = self.candidate;
            candidate.insert("content".to_owned(), json!({"role": "model", "parts": self.parts}));
            body.insert("candidates".to_owned(), json!([candidate]));
        }
        Value::Object(body)
    }
}

impl Chunks {
    /// A text goes on in the part before, unless something else hangs on either.
    fn take_part(&mut self, part: &Value) {
        let is_plain = |part: &Value| part.as_object().is_some_and(|fields| fields.len() == 1);
        match (self.parts.last_mut(), part["text"].as_str()) {
            (Some(last), Some(more)) if is_plain(part) && is_plain(last) && last["text"].is_string() => {
                if let Some(Value::String(text)) = last.get_mut("text") {
                    text.push_str(more);
                }
            }
            _ => self.parts.push(part.clone()),
        }
    }
}
