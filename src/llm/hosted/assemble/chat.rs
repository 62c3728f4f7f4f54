//! Chunks of `/chat/completions`. Shapes: the OpenAI API reference, "The chat completion chunk object"; servers that follow it
//! leave the index of a call out, repeat its id and name with every piece, or send the usage with the last one.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Assemble, Step, append, keep_new};

#[derive(Debug, Default)]
pub(super) struct Chat {
    head: Map<String, Value>,
    content: String,
    /// What the model thought, by the name the server gives it: it may have to go back under the same.
    thoughts: Map<String, Value>,
    refusal: String,
    calls: Vec<Call>,
    call_at_index: HashMap<u64, usize>,
    finish_reason: Option<Value>,
    usage: Option<Value>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Assemble for Chat {
    fn push(&mut self, event: Value) -> Step {
        keep_new(&mut self.head, &event, &["id", "created", "model", "service_tier", "system_fingerprint"]);
        let mut came = false;
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
            came = true;
        }
        let choice = &event["choices"][0];
        // A server that only seems to stream sends the whole message as one chunk.
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        came |= self.take_content(&delta["content"]);
        came |= append(&mut self.refusal, &delta["refusal"]);
        for name in ["reasoning_content", "reasoning"] {
            if let Some(piece) = delta[name].as_str().filter(|piece| !piece.is_empty()) {
                match self.thoughts.get_mut(name) {
                    Some(Value::String(thought)) => thought.push_str(piece),
                    _ => drop(self.thoughts.insert(name.to_owned(), json!(piece))),
                }
                came = true;
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            came |= self.take_call(call);
        }
        if choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()) {
            self.finish_reason = Some(choice["finish_reason"].clone());
            came = true;
        }
        if came { Step::Content } else { Step::Nothing }
    }

    fn is_whole(&self) -> bool {
        self.finish_reason.is_some()
    }

    fn into_body(self: Box<Self>) -> Value {
        let mut message = self.thoughts;
        message.insert("role".to_owned(), json!("assistant"));
        let has_content = !self.content.is_empty() || self.calls.is_empty();
        message.insert("content".to_owned(), if has_content { json!(self.content) } else { Value::Null });
        if !self.refusal.is_empty() {
            message.insert("refusal".to_owned(), json!(self.refusal));
        }
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": call.id, "type": "function", "function": function})
            });
            message.insert("tool_calls".to_owned(), calls.collect());
        }
        let mut body = self.head;
        body.insert("object".to_owned(), json!("chat.completion"));
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish_reason});
        body.insert("choices".to_owned(), json!([choice]));
        if let Some(usage) = self.usage {
            body.insert("usage".to_owned(), usage);
        }
        Value::Object(body)
    }
}

impl Chat {
    /// A string, or for some models of Mistral a list of typed pieces.
    fn take_content(&mut self, content: &Value) -> bool {
        let Some(pieces) = content.as_array() else { return append(&mut self.content, content) };
        let mut came = false;
        for piece in pieces {
            came |= append(&mut self.content, &piece["text"]) || piece["type"] == "thinking";
        }
        came
    }

    fn take_call(&mut self, piece: &Value) -> bool {
        let id = piece["id"].as_str().unwrap_or_default();
        let place = match piece["index"].as_u64() {
            Some(index) => *self.call_at_index.entry(index).or_insert_with(|| new_place(&mut self.calls)),
            None if id.is_empty() && !self.calls.is_empty() => self.calls.len() - 1,
            None => new_place(&mut self.calls),
        };
        let call = &mut self.calls[place];
        let function = &piece["function"];
        let mut came = false;
        for (known, told) in [(&mut call.id, &piece["id"]), (&mut call.name, &function["name"])] {
            if known.is_empty() {
                came |= append(known, told);
            }
        }
        match &function["arguments"] {
            // Not as published, but some send the object itself.
            object @ Value::Object(_) => {
                call.arguments = object.to_string();
                true
            }
            text => append(&mut call.arguments, text) || came,
        }
    }
}

fn new_place(calls: &mut Vec<Call>) -> usize {
    calls.push(Call::default());
    calls.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(pieces: &[Value]) -> Value {
        let mut chat = Chat::default();
        for piece in pieces {
            chat.push(json!({"choices": [{"delta": {"tool_calls": [piece]}}]}));
        }
        let body = Box::new(chat).into_body();
        let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter();
        calls.map(|call| json!([call["id"], call["function"]["name"], call["function"]["arguments"]])).collect()
    }

    #[test]
    fn calls_are_put_together_however_a_server_numbers_them() {
        let piece = |index: Value, id: &str, name: &str, arguments: &str| {
            let mut piece = json!({"id": id, "function": {"name": name, "arguments": arguments}});
            if !index.is_null() {
                piece["index"] = index;
            }
            piece
        };
        let two = json!([["a", "read", "{\"x\":1}"], ["b", "list", "{}"]]);
        let mixed = [
            piece(json!(0), "a", "read", ""),
            piece(json!(1), "b", "list", "{"),
            piece(json!(0), "", "", "{\"x\":1}"),
            piece(json!(1), "", "", "}"),
        ];
        assert_eq!(calls(&mixed), two);
        let repeats = [
            piece(json!(0), "a", "read", "{\"x\":"),
            piece(json!(0), "a", "read", "1}"),
            piece(json!(u64::MAX), "b", "list", "{}"),
        ];
        assert_eq!(calls(&repeats), two);
        let without_index = [
            piece(Value::Null, "a", "read", "{\"x\":"),
            piece(Value::Null, "", "", "1}"),
            piece(Value::Null, "b", "list", "{}"),
        ];
        assert_eq!(calls(&without_index), two);
    }

    #[test]
    fn an_empty_chunk_is_no_sign_of_life() {
        let mut chat = Chat::default();
        assert_eq!(chat.push(json!({"choices": [{"delta": {"content": "", "role": "assistant"}}]})), Step::Nothing);
        assert_eq!(chat.push(json!({"choices": [], "usage": null})), Step::Nothing);
        assert_eq!(chat.push(json!({"choices": [{"delta": {"content": "a"}, "finish_reason": null}]})), Step::Content);
        assert!(!chat.is_whole());
    }
}
