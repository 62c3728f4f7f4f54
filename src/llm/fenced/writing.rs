//! The conversation as a model without tool calls reads it.

use std::fmt::Write as _;

use super::super::Tool;
use crate::domain::conversation::{AssistantMessage, Message};

const HOW_TO_CALL: &str = "\
You work with tools. To call one, write a block like this, with the name of the tool and its arguments as JSON:

```tool_call
{\"name\": \"TOOL\", \"arguments\": {\"ARGUMENT\": \"VALUE\"}}
```

Write what you have to say before the block. Several blocks in one answer are run in their order. Then stop: the results come \
with the next message. Never write a result yourself. An answer without a block is your last word.

The tools, each with the JSON schema of its arguments:
";

/// Without calls and results: text of the one side and the other.
pub(super) fn messages(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut written = Vec::<Message>::new();
    let (first, rest) = match messages.split_first() {
        Some((Message::System { text }, rest)) => (format!("{text}\n\n{}", described(tools)), rest),
        _ => (described(tools), messages),
    };
    written.push(Message::System { text: first });
    for message in rest {
        match message {
            Message::System { .. } => written.push(message.clone()),
            Message::Assistant(said) => {
                let text = spoken(said);
                written.push(Message::Assistant(AssistantMessage { text, ..AssistantMessage::default() }));
            }
            Message::User { text } => add_for_model(&mut written, text),
            Message::Tool { name, content, .. } => {
                add_for_model(&mut written, &format!("Result of {name}:\n\n{content}"));
            }
        }
    }
    written
}

/// The templates of many models want the two sides in turn.
fn add_for_model(written: &mut Vec<Message>, text: &str) {
    if let Some(Message::User { text: last }) = written.last_mut() {
        last.push_str("\n\n");
        last.push_str(text);
    } else {
        written.push(Message::User { text: text.to_owned() });
    }
}

fn described(tools: &[Tool]) -> String {
    let mut text = HOW_TO_CALL.to_owned();
    for tool in tools {
        let _ = write!(text, "\n## {}\n\n{}\n\n{}\n", tool.name, tool.description, tool.parameters);
    }
    text
}

fn spoken(said: &AssistantMessage) -> String {
    let mut text = said.text.clone();
    for call in &said.tool_calls {
        let block = serde_json::json!({"name": call.name, "arguments": call.arguments});
        let _ = write!(text, "\n\n```tool_call\n{block}\n```");
    }
    text.trim_start().to_owned()
}
