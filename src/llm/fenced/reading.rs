//! Calls found in what a model wrote.

use serde_json::{Value, json};

use super::super::Request;
use crate::domain::conversation::{AssistantMessage, Message, ToolCall};

/// Stands for a block that cannot be read; whoever runs tools knows none of that name and says so, and the model tries again.
const UNREADABLE: &str = "unreadable_tool_call";

/// Blocks marked `tool_call`; others only when they hold a call of a tool that there is. Models also write
/// `<tool_call>…</tool_call>`, for that is what some were trained on.
pub(super) fn message(text: &str, request: &Request<'_>) -> AssistantMessage {
    let is_known = |name: &str| request.tools.iter().any(|tool| tool.name == name);
    let (mut said, mut found) = (String::new(), Vec::new());
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let Some(opening) = Opening::of(line) else {
            said.push_str(line);
            continue;
        };
        let mut block = opening.rest.to_owned();
        let mut is_closed = opening.is_closed_at_once;
        while !is_closed {
            let Some(line) = lines.next() else { break };
            is_closed = opening.is_closed_by(line, &mut block);
        }
        let calls = calls(&block);
        match (opening.is_marked, calls) {
            (_, Some(calls)) if opening.is_marked || calls.iter().all(|(name, _)| is_known(name)) => {
                found.extend(calls);
            }
            (true, _) => found.push((UNREADABLE.to_owned(), Value::String(block.trim().to_owned()))),
            (false, _) => {
                said.push_str(line);
                said.push_str(&block);
                if is_closed {
                    said.push_str(opening.fence);
                    said.push('\n');
                }
            }
        }
    }
    let step = request.messages.iter().filter(|message| matches!(message, Message::Assistant(_))).count();
    let call = |(number, (name, arguments))| ToolCall { id: format!("fenced_{step}_{number}"), name, arguments };
    let tool_calls = found.into_iter().enumerate().map(call).collect();
    AssistantMessage { text: said.trim().to_owned(), tool_calls, replay: None }
}

struct Opening<'a> {
    fence: &'a str,
    /// Says of itself that it is a call.
    is_marked: bool,
    /// What stands behind the opening on its line.
    rest: &'a str,
    is_closed_at_once: bool,
}

impl<'a> Opening<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let start = line.trim_start();
        if let Some(rest) = start.strip_prefix("<tool_call>") {
            let (rest, is_closed_at_once) =
                rest.split_once("</tool_call>").map_or((rest, false), |(inside, _)| (inside, true));
            return Some(Self { fence: "</tool_call>", is_marked: true, rest, is_closed_at_once });
        }
        let mark = start.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let width = start.len() - start.trim_start_matches(mark).len();
        let (fence, info) = start.split_at(width);
        let info = info.trim().to_ascii_lowercase();
        (width >= 3).then(|| {
            let is_marked = matches!(info.as_str(), "tool_call" | "tool_calls" | "toolcall" | "tool-call");
            Self { fence, is_marked, rest: "", is_closed_at_once: false }
        })
    }

    /// Takes the line into the block, up to where it ends.
    fn is_closed_by(&self, line: &str, block: &mut String) -> bool {
        if self.fence.starts_with('<') {
            let (inside, is_closed) = line.split_once(self.fence).map_or((line, false), |(inside, _)| (inside, true));
            block.push_str(inside);
            return is_closed;
        }
        let is_closed = line.trim().starts_with(self.fence) && line.trim().trim_matches(['`', '~']).is_empty();
        if !is_closed {
            block.push_str(line);
        }
        is_closed
    }
}

/// One call, several below each other, or a list. `None` when it is something else.
fn calls(block: &str) -> Option<Vec<(String, Value)>> {
    let mut calls = Vec::new();
    for value in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
        match value.ok() {
            Some(Value::Array(several)) => {
                for value in several {
                    calls.push(call(value)?);
                }
            }
            Some(value) => calls.push(call(value)?),
            // A name can be read where the arguments cannot: whoever runs the tool says what is wrong with them.
            None if calls.is_empty() => calls.push((name_in(block)?, Value::String(block.trim().to_owned()))),
            None => break,
        }
    }
    (!calls.is_empty()).then_some(calls)
}

fn call(mut value: Value) -> Option<(String, Value)> {
    // `{"type": "function", "function": {"name": …}}` is how it looks on the wire of others.
    if value["function"].is_object() {
        value = value["function"].take();
    }
    let name = ["name", "tool", "function"].iter().find_map(|field| value[field].as_str())?.to_owned();
    let arguments = ["arguments", "parameters", "args"].iter().find_map(|field| value.get_mut(field).map(Value::take));
    let arguments = match arguments {
        None | Some(Value::Null) => json!({}),
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(arguments) => arguments,
    };
    Some((name, arguments))
}

fn name_in(block: &str) -> Option<String> {
    let after = block.split_once("\"name\"")?.1.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (name, _) = after.split_once('"')?;
    (!name.is_empty() && name.len() <= 64).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Hold, Listener, Tool};

    fn read(text: &str) -> (String, Vec<(String, Value)>) {
        let tool = |name: &str| Tool { name: name.to_owned(), description: String::new(), parameters: json!({}) };
        let tools = [tool("read"), tool("list")];
        let listener = Listener::default();
        let message = message(
            text,
            &Request {
                model_id: "m",
                messages: &[],
                tools: &tools,
                max_output_tokens: 1,
                listener,
                hold: Hold::default(),
            },
        );
        let calls = message.tool_calls.into_iter().map(|call| (call.name, call.arguments));
        (message.text, calls.collect())
    }

    #[test]
    fn calls_are_found_in_every_form_models_write_them() {
        let both = || vec![("read".to_owned(), json!({"path": "a"})), ("list".to_owned(), json!({}))];
        let (one, two) = (r#"{"name": "read", "arguments": {"path": "a"}}"#, r#"{"name": "list"}"#);
        for text in [
            format!("Now.\n```tool_call\n{one}\n```\n\n```tool_call\n{two}\n```"),
            format!("Now.\n````tool_call\n{one}\n{two}\n````\n"),
            format!("Now.\n  ~~~ tool_call\n[{one},\n{two}]\n  ~~~"),
            format!("Now.\n```json\n{one}\n```\n```\n{two}\n```"),
            format!("Now.\n<tool_call>\n{one}\n</tool_call>\n<tool_call>{two}</tool_call>"),
            format!("Now.\n```tool_call\n{one}\n```\n```tool_call\n{two}"),
            "Now.\n```tool_call\n{\"tool\": \"read\", \"parameters\": \"{\\\"path\\\": \\\"a\\\"}\"}\n```\n\
             ```tool_call\n{\"type\": \"function\", \"function\": {\"name\": \"list\", \"arguments\": null}}\n```"
                .to_owned(),
        ] {
            assert_eq!(read(&text), ("Now.".to_owned(), both()), "{text}");
        }
    }

    #[test]
    fn what_is_no_call_stays_text() {
        for text in [
            "Done. It was:\n```rust\nfn main() {}\n```\nand\n```json\n{\"name\": \"left-pad\", \"version\": 1}\n```\nSo.",
            "`read` and ``list`` are tools.",
            "```\n[1, 2]\n```",
        ] {
            assert_eq!(read(text), (text.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn a_call_that_cannot_be_read_is_no_end() {
        let broken = "```tool_call\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\nb\n```";
        let (_, calls) = read(broken);
        assert!(
            matches!(&calls[..], [(name, Value::String(text))] if name == "read" && text.contains("path")),
            "{calls:?}"
        );
        let (_, calls) = read("```tool_call\nread a.txt\n```");
        assert_eq!(calls, [(UNREADABLE.to_owned(), json!("read a.txt"))]);
    }
}
