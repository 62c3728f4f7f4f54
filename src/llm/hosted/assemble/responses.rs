//! Events of `/v1/responses`. Shapes: the OpenAI API reference, "Streaming events" of the Responses API. The last event repeats
//! the whole answer; some servers leave its output out there, so what came before is kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Assemble, Step};

#[derive(Debug, Default)]
pub(super) struct Events {
    items: BTreeMap<u64, Value>,
    response: Option<Value>,
}

impl Assemble for Events {
    fn push(&mut self, mut event: Value) -> Step {
        match event["type"].as_str().unwrap_or_default() {
            "response.completed" | "response.incomplete" => {
                self.response = event.get_mut("response").map(Value::take).filter(Value::is_object);
                Step::End
            }
            "response.failed" => Step::Failed(failure(&event["response"]["error"])),
            "error" => Step::Failed(failure(&event)),
            "response.output_item.done" => {
                if let (Some(index), Some(item)) = (event["output_index"].as_u64(), event.get_mut("item")) {
                    self.items.insert(index, item.take());
                }
                Step::Content
            }
            "response.output_item.added" => Step::Content,
            _ if event["delta"].as_str().is_some_and(|delta| !delta.is_empty()) => Step::Content,
            _ => Step::Nothing,
        }
    }

    fn is_whole(&self) -> bool {
        self.response.is_some()
    }

    fn into_body(self: Box<Self>) -> Value {
        let mut body = self.response.unwrap_or_default();
        let has_output = body["output"].as_array().is_some_and(|items| !items.is_empty());
        if let (false, Value::Object(body)) = (has_output, &mut body) {
            body.insert("output".to_owned(), self.items.into_values().collect());
        }
        body
    }
}

/// As an error is told without streaming.
fn failure(error: &Value) -> Value {
    json!({"error": {"type": error["code"], "message": error["message"]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_the_last_event_leaves_out_are_kept() {
        let mut events = Events::default();
        let item = json!({"type": "message", "content": []});
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
        let last = json!({"type": "response.completed", "response": {"id": "r", "output": []}});
        assert_eq!(events.push(last), Step::End);
        assert_eq!(Box::new(events).into_body(), json!({"id": "r", "output": [item]}));
    }
}
