//! What the model is told before the first step: stable text first, so that providers can cache it.

use super::ChecksToRun;
use crate::domain::{
    conversation::Message,
    task::{Mode, Task},
};

/// What the agent reaches by network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Nothing,
    /// By the server's proxy.
    Hosts(Vec<String>),
}

impl Reach {
    fn section(&self) -> String {
        match self {
            Self::Hosts(hosts) if !hosts.is_empty() => {
                include_str!("prompts/proxied_network.md").replace("{hosts}", &hosts.join(", "))
            }
            _ => include_str!("prompts/no_network.md").to_owned(),
        }
    }
}

/// The opening messages of a conversation; `conventions` are those of the repository, marked as what they are.
pub(super) fn opening(task: &Task, conventions: &str, checks: Option<&ChecksToRun>, reach: &Reach) -> Vec<Message> {
    let finish = match task.mode {
        Mode::Modify => include_str!("prompts/modify.md"),
        Mode::Pr => concat!(include_str!("prompts/modify.md"), "\n", include_str!("prompts/pr.md")),
        Mode::Analyze => include_str!("prompts/analyze.md"),
    };
    let system = include_str!("prompts/system.md").replace("{network}\n", &reach.section());
    let system = format!("{system}\n{finish}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_told_of_the_network_that_there_is() {
        assert!(include_str!("prompts/system.md").contains("\n{network}\n"));
        for nothing in [Reach::Nothing, Reach::Hosts(Vec::new())] {
            assert!(nothing.section().contains("There is no network"));
        }
        let section = Reach::Hosts(vec!["pypi.org".to_owned()]).section();
        assert!(section.contains("lets through pypi.org and nothing") && !section.contains("no network"), "{section}");
    }
}
