//! What the model is told before the first step: stable text first, so that providers can cache it.

use super::ChecksToRun;
use crate::domain::{
    conversation::Message,
    task::{Mode, Task},
};

/// The opening messages of a conversation; `conventions` are those of the repository, marked as what they are.
pub(super) fn opening(task: &Task, conventions: &str, checks: Option<&ChecksToRun>) -> Vec<Message> {
    let finish = match task.mode {
        Mode::Modify => include_str!("prompts/modify.md"),
        Mode::Pr => concat!(include_str!("prompts/modify.md"), "\n", include_str!("prompts/pr.md")),
        Mode::Analyze => include_str!("prompts/analyze.md"),
    };
    let system = format!("{}\n{finish}", include_str!("prompts/system.md"));
    let gap = if conventions.is_empty() { "" } else { "\n" };
    let checks = checks.map(|checks| to_run(&checks.commands)).unwrap_or_default();
    let text = format!("{conventions}{gap}{checks}<instruction>\n{}\n</instruction>", task.instruction.as_str());
    vec![Message::System { text: system }, Message::User { text }]
}

fn to_run(commands: &[String]) -> String {
    if commands.is_empty() {
        return String::new();
    }
    let list = commands.join("\n").replace("</checks", "<\\/checks");
    format!(
        "<checks note=\"to be run before you finish, after the last change, from the root, as they stand here\">\n{list}\n</checks>\n\n"
    )
}
