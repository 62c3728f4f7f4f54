//! The file a scripted model plays: what the model says, step by step.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::conversation::Message;

/// `{"steps":[{"text":"…","tool_calls":[{"name":"run_command","arguments":{…}}]}, …, {"text":"the explanation"}]}`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
}

/// One answer of the model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) tool_calls: Vec<ScriptedCall>,
    /// How long the model thinks, in milliseconds.
    #[serde(default)]
    pub(super) delay_ms: u32,
    /// Must occur in what the model was told since its last answer. A recorded task notices with it that it went another way.
    pub(super) expect: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedCall {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Value,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    #[error(
        "the script is not valid: {0}; it looks like {{\"steps\":[{{\"text\":\"…\",\"tool_calls\":[{{\"name\":\"…\",\"arguments\":{{}}}}]}}]}}"
    )]
    Invalid(#[from] serde_json::Error),
    #[error("the script has no steps; write at least one")]
    Empty,
}

const SHOWN_BYTES: usize = 2000;

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_json::from_str(text)?;
        if script.steps.is_empty() { Err(ScriptError::Empty) } else { Ok(script) }
    }

    /// The step that comes next in the conversation, and its number from 0.
    pub(super) fn next_step(&self, messages: &[Message]) -> Result<(usize, &Step), String> {
        let answered = messages.iter().filter(|message| matches!(message, Message::Assistant(_))).count();
        let step = self.steps.get(answered).ok_or_else(|| {
            let steps = self.steps.len();
            format!(
                "the script ended after step {steps} of {steps}; add a step, or let the last one have no tool calls"
            )
        })?;
        if let Some(expected) = &step.expect {
            let told = told_since_last_answer(messages);
            if !told.contains(expected) {
                let number = answered + 1;
                let told = cap(&told);
                return Err(format!(
                    "step {number} of the script expected {expected:?}, but this came instead: {told}"
                ));
            }
        }
        Ok((answered, step))
    }
}

fn told_since_last_answer(messages: &[Message]) -> String {
    let last_answer = messages.iter().rposition(|message| matches!(message, Message::Assistant(_)));
    let told = &messages[last_answer.map_or(0, |index| index + 1)..];
    let texts: Vec<&str> = told
        .iter()
        .filter_map(|message| match message {
            Message::User { text } | Message::System { text } => Some(text.as_str()),
            Message::Tool { content, .. } => Some(content.as_str()),
            Message::Assistant(_) => None,
        })
        .collect();
    texts.join("\n")
}

fn cap(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return text.to_owned();
    }
    let shown = &text[..text.floor_char_boundary(SHOWN_BYTES)];
    format!("{shown} … ({} bytes more)", text.len() - shown.len())
}
