//! A recorded task as a play for the model kind `scripted`: the same calls again, without a key.

use serde_json::{Value, json};

use crate::domain::conversation::{AssistantMessage, Message};

/// `None` when the model never called a tool and never said anything.
///
/// Answers in between without a call are left out: they were sent back by a reviewer or were empty, and a play has no
/// reviewer to send it on.
pub(crate) fn script(messages: &[Message]) -> Option<Value> {
    let answers = messages.iter().filter_map(|message| match message {
        Message::Assistant(said) => Some(said),
        _ => None,
    });
    let answers: Vec<&AssistantMessage> = answers.collect();
    let last = answers.len().checked_sub(1)?;
    let is_step = |at: usize| at == last || !answers[at].tool_calls.is_empty();
    let steps: Vec<Value> = (0..answers.len()).filter(|at| is_step(*at)).map(|at| step(answers[at])).collect();
    Some(json!({ "steps": steps }))
}

fn step(said: &AssistantMessage) -> Value {
    let calls = said.tool_calls.iter().map(|call| json!({"name": call.name, "arguments": call.arguments}));
    json!({"text": said.text, "tool_calls": calls.collect::<Vec<_>>()})
}
