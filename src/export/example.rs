//! One line of `OpenAI`'s fine-tuning format for chat models with tools: `FineTuneChatRequestInput` of its API description.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::clean::{Unfit, check_line, clean};
use crate::domain::conversation::{AssistantMessage, Message, ToolCall};

#[derive(Debug, Serialize)]
struct Example {
    messages: Vec<Entry>,
    tools: Vec<Value>,
    /// An answer may hold several calls; they are worked off in order.
    parallel_tool_calls: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum Entry {
    System {
        content: String,
    },
    User {
        content: String,
    },
    Assistant {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call>,
        /// 0 for what is not to be learnt; left out, it is 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        weight: Option<u8>,
    },
    Tool {
        tool_call_id: String,
        content: String,
    },
}

#[derive(Debug, Serialize)]
struct Call {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    /// JSON as text, as the model wrote it.
    arguments: String,
}

/// Beyond that nobody trains on it, and it would fill the memory.
const MAX_LINE_BYTES: usize = 32 << 20;
/// As the tool's result is rendered for the model.
const FAILED: &str = "status: failure";

/// The line for a conversation as the model saw it, and the tools it was offered. Without the line end.
pub(super) fn line(messages: &[Message], tools: &Value) -> Result<String, Unfit> {
    let mut cleaned = Vec::with_capacity(messages.len());
    for (message, number) in messages.iter().zip(1_u32..) {
        cleaned.push(clean_message(message, &format!("message {number}"))?);
    }
    let entries = cleaned.iter().enumerate().map(|(at, message)| entry(message, &cleaned[at + 1..]));
    let example = Example { messages: entries.collect(), tools: offered(tools)?, parallel_tool_calls: true };
    check(&example)?;
    let line = serde_json::to_string(&example).map_err(|error| Unfit(format!("it cannot be written: {error}")))?;
    if line.len() > MAX_LINE_BYTES {
        return Err(Unfit(format!("it has {} bytes, more than {MAX_LINE_BYTES}", line.len())));
    }
    check_line(&line)?;
    Ok(line)
}

/// Without what only its provider understands.
fn clean_message(message: &Message, place: &str) -> Result<Message, Unfit> {
    let mut message = message.clone();
    if let Message::Assistant(said) = &mut message {
        said.replay = None;
    }
    let not_whole = |_| Unfit(format!("{place} is not whole without its secrets"));
    let value = serde_json::to_value(message).map_err(not_whole)?;
    serde_json::from_value(clean(&value, place)?).map_err(not_whole)
}

fn entry(message: &Message, following: &[Message]) -> Entry {
    match message {
        Message::System { text } => Entry::System { content: text.clone() },
        Message::User { text } => Entry::User { content: text.clone() },
        Message::Tool { call_id, content, .. } => {
            Entry::Tool { tool_call_id: call_id.clone(), content: content.clone() }
        }
        Message::Assistant(said) => Entry::Assistant {
            content: (!said.text.trim().is_empty() || said.tool_calls.is_empty()).then(|| said.text.clone()),
            tool_calls: said.tool_calls.iter().map(call).collect(),
            weight: is_mistake(said, following).then_some(0),
        },
    }
}

fn call(call: &ToolCall) -> Call {
    // Arguments that were no JSON are kept as the text they were.
    let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
    Call { id: call.id.clone(), r#type: "function", function: Function { name: call.name.clone(), arguments } }
}

/// An empty answer, or one of whose calls none worked: a person liked where the task ended, not each step to it.
fn is_mistake(said: &AssistantMessage, following: &[Message]) -> bool {
    if said.tool_calls.is_empty() {
        return said.text.trim().is_empty();
    }
    let results = following.iter().take(said.tool_calls.len());
    let failed = |message: &Message| matches!(message, Message::Tool { content, .. } if content.lines().any(|line| line == FAILED));
    results.filter(|message| failed(message)).count() == said.tool_calls.len()
}

fn offered(tools: &Value) -> Result<Vec<Value>, Unfit> {
    let tools = clean(tools, "a description of the tools")?;
    let tools = tools.as_array().cloned().unwrap_or_default();
    Ok(tools.into_iter().map(|tool| json!({"type": "function", "function": tool})).collect())
}

/// What the format asks for beyond its shape: every call has its one result, and the last word is the model's.
fn check(example: &Example) -> Result<(), Unfit> {
    let unfit = |number: usize, what: &str| Err(Unfit(format!("message {} {what}", number + 1)));
    if !matches!(example.messages.as_slice(), [Entry::System { .. }, Entry::User { .. }, ..]) {
        return Err(Unfit("it does not begin with the instructions".to_owned()));
    }
    for tool in &example.tools {
        if !tool["function"]["name"].as_str().is_some_and(is_name) || !tool["function"]["parameters"].is_object() {
            return Err(Unfit("a tool has no name or no parameters".to_owned()));
        }
    }
    let mut open = Vec::<&str>::new();
    for (number, entry) in example.messages.iter().enumerate() {
        if let Entry::Tool { tool_call_id, .. } = entry {
            let Some(at) = open.iter().position(|id| id == tool_call_id) else {
                return unfit(number, "is a result of no call");
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return unfit(number, "comes before a result that is missing");
        }
        if let Entry::Assistant { tool_calls, .. } = entry {
            open = tool_calls.iter().map(|call| call.id.as_str()).collect();
            let ids: HashSet<&str> = open.iter().copied().collect();
            if ids.len() != open.len() || ids.contains("") {
                return unfit(number, "has calls without an id of their own");
            }
            if !tool_calls.iter().all(|call| is_name(&call.function.name)) {
                return unfit(number, "calls a tool by what is no name");
            }
        }
    }
    match example.messages.last() {
        Some(Entry::Assistant { content: Some(text), tool_calls, .. })
            if tool_calls.is_empty() && !text.trim().is_empty() =>
        {
            Ok(())
        }
        _ => Err(Unfit("it does not end with an answer of the model".to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
