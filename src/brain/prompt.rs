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

/// As the texts for the model have it, which are written for a container without network.
const NO_NETWORK: &str =
    "There is no network. What the repository's `setup.sh` installed is there; nothing else can be downloaded.";
const NO_NETWORK_IN_TOOL: &str = "There is no network, no terminal and no input;";

impl Reach {
    fn in_system(&self, text: &str) -> String {
        match self {
            Self::Nothing => text.to_owned(),
            Self::Hosts(hosts) if hosts.is_empty() => text.to_owned(),
            Self::Hosts(hosts) => text.replace(
                NO_NETWORK,
                &format!(
                    "The network is an HTTP proxy that the environment names (`http_proxy`). It lets through {} and nothing \
                     else, and writes down every request.",
                    hosts.join(", ")
                ),
            ),
        }
    }

    pub(super) fn in_tool(&self, text: &str) -> String {
        match self {
            Self::Nothing => text.to_owned(),
            Self::Hosts(_) => text.replace(
                NO_NETWORK_IN_TOOL,
                "There is no network but the proxy of the environment, no terminal and no input;",
            ),
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
    let system = format!("{}\n{finish}", reach.in_system(include_str!("prompts/system.md")));
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
        let (none, one) = (Reach::Nothing, Reach::Hosts(vec!["pypi.org".to_owned()]));
        let system = include_str!("prompts/system.md");
        let tools = atelier_agent::tools::definitions();
        let run = tools.iter().find(|tool| tool.name == "run_command").unwrap();
        assert!(none.in_system(system).contains("There is no network"));
        assert!(one.in_system(system).contains("pypi.org") && !one.in_system(system).contains("no network"));
        assert!(
            one.in_tool(run.description).contains("but the proxy") && none.in_tool(run.description) == run.description
        );
    }
}
