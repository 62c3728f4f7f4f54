//! What the model is told before the first step: stable text first, so that providers can cache it.

use crate::domain::{
    conversation::Message,
    task::{Mode, Task},
};

/// The opening messages of a conversation; `conventions` are those of the repository, marked as what they are.
pub(super) fn opening(task: &Task, conventions: &str) -> Vec<Message> {
    let finish = match task.mode {
        Mode::Modify => include_str!("prompts/modify.md"),
        Mode::Analyze => include_str!("prompts/analyze.md"),
    };
    let system = format!("{}\n{finish}", include_str!("prompts/system.md"));
    let gap = if conventions.is_empty() { "" } else { "\n" };
    let text = format!("{conventions}{gap}<instruction>\n{}\n</instruction>", task.instruction.as_str());
    vec![Message::System { text: system }, Message::User { text }]
}
