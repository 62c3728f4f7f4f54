//! Lines of `/api/chat`, each with the piece that is new. Shapes: `docs/api.md` of ollama/ollama, "Generate a chat completion".

use serde_json::{Map, Value, json};

use super::{Assemble, Step, append};

#[derive(Debug, Default)]
pub(super) struct Lines {
    content: String,
    thinking: String,
    calls: Vec<Value>,
    /// The last line has the counts of the whole.
    last: Option<Map<String, Value>>,
}

impl Assemble for Lines {
    fn push(&mut self, event: Value) -> Step {
        let Value::Object(mut line) = event else { return Step::Nothing };
        let mut message = line.remove("message").unwrap_or_default();
        let mut came = append(&mut self.content, &message["content"]);
        came |= append(&mut self.thinking, &message["thinking"]);
        if let Some(Value::Array(calls)) = message.get_mut("tool_calls").map(Value::take) {
            came |= !calls.is_empty();
            self.calls.extend(calls);
        }
        if line.get("done") == Some(&Value::Bool(true)) {
            self.last = Some(line);
            return Step::End;
        }
        if came { Step::Content } else { Step::Nothing }
    }

    fn is_whole(&self) -> bool {
        self.last.is_some()
    }

    fn into_body(self: Box<Self>) -> Value {
        let mut message = json!({"role": "assistant", "content": self.content});
        if !self.thinking.is_empty() {
            message["thinking"] = json!(self.thinking);
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = json!(self.calls);
        }
        let mut body = self.last.unwrap_or_default();
        body.insert("message".to_owned(), message);
        Value::Object(body)
    }
}
