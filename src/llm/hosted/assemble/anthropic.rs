//! Events of `/v1/messages`. Shapes: Anthropic's API reference, "Streaming messages".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Assemble, Step};

#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The message without its content.
    message: Map<String, Value>,
    blocks: BTreeMap<u64, Block>,
}

#[derive(Debug, Default)]
struct Block {
    value: Map<String, Value>,
    /// Of a tool call, as JSON text.
    input: String,
}

impl Assemble for Messages {
    fn push(&mut self, mut event: Value) -> Step {
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                if let Value::Object(message) = event["message"].take() {
                    self.message = message;
                }
                Step::Content
            }
            "content_block_start" => {
                if let (Some(index), Value::Object(value)) = (event["index"].as_u64(), event["content_block"].take()) {
                    self.blocks.insert(index, Block { value, input: String::new() });
                }
                Step::Content
            }
            "content_block_delta" => {
                let block = event["index"].as_u64().and_then(|index| self.blocks.get_mut(&index));
                block.map_or(Step::Nothing, |block| block.take(&event["delta"]))
            }
            "message_delta" => {
                self.take_end(&event);
                Step::Content
            }
            "message_stop" => Step::End,
            _ => Step::Nothing,
        }
    }

    fn is_whole(&self) -> bool {
        self.message.get("stop_reason").is_some_and(Value::is_string)
    }

    fn into_body(self: Box<Self>) -> Value {
        let mut message = self.message;
        message.insert("content".to_owned(), self.blocks.into_values().map(Block::into_value).collect());
        Value::Object(message)
    }
}

impl Messages {
    fn take_end(&mut self, event: &Value) {
        for (name, value) in event["delta"].as_object().into_iter().flatten() {
            self.message.insert(name.clone(), value.clone());
        }
        // The counts are those of the whole answer; what the beginning said and the end does not stays.
        let Some(told) = event["usage"].as_object() else { return };
        if let Value::Object(usage) = self.message.entry("usage").or_insert_with(|| json!({})) {
            usage.extend(told.clone().into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
}

impl Block {
    fn take(&mut self, delta: &Value) -> Step {
        let (field, piece) = match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => ("text", &delta["text"]),
            "thinking_delta" => ("thinking", &delta["thinking"]),
            "signature_delta" => ("signature", &delta["signature"]),
            "input_json_delta" => {
                let piece = delta["partial_json"].as_str().unwrap_or_default();
                self.input.push_str(piece);
                return if piece.is_empty() { Step::Nothing } else { Step::Content };
            }
            _ => return Step::Nothing,
        };
        let piece = piece.as_str().unwrap_or_default();
        match self.value.get_mut(field) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => drop(self.value.insert(field.to_owned(), json!(piece))),
        }
        if piece.is_empty() { Step::Nothing } else { Step::Content }
    }

    fn into_value(mut self) -> Value {
        let kind = self.value.get("type").and_then(Value::as_str).unwrap_or_default();
        if !self.input.is_empty() {
            // What is no JSON is told to the model by whoever runs the tool.
            let input = serde_json::from_str(&self.input).unwrap_or(Value::String(self.input));
            self.value.insert("input".to_owned(), input);
        } else if kind == "thinking" {
            // genai refuses the whole answer without it; some servers sign nothing.
            self.value.entry("signature").or_insert_with(|| json!(""));
        }
        Value::Object(self.value)
    }
}
