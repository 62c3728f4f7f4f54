//! The conversation with the model, as it is stored and replayed. Append-only.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message, in the order the model sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub(crate) enum Message {
    System {
        text: String,
    },
    User {
        text: String,
    },
    Assistant(AssistantMessage),
    /// The answer to one tool call; every call gets exactly one.
    Tool {
        call_id: String,
        name: String,
        content: String,
    },
}

/// What the model said. Without tool calls it is the end of the task, and the text is its explanation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AssistantMessage {
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall>,
    /// What the provider wants to see again with this message (signed thinking); only `llm` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<Value>,
}

/// A tool the model wants run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    /// The provider's id for the call; the scripted model needs none.
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) name: String,
    /// Usually an object; a model may send anything, so the reader judges.
    #[serde(default)]
    pub(crate) arguments: Value,
}
