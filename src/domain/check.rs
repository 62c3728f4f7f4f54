//! Checks: the commands that have to pass before work is handed over, who wants them, and how the agent's own runs ended.

use serde::{Deserialize, Serialize};

/// A check, and how the agent's own last run of it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct CheckRun {
    pub(crate) command: String,
    pub(crate) status: CheckStatus,
    /// Of a run after the last change.
    pub(crate) exit_code: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckStatus {
    /// Exit code 0 after the last change.
    Passed,
    Failed,
    /// Not at all, or not since the last change.
    NotRun,
}

impl CheckStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// Of one origin.
pub(crate) const MAX_CHECKS: usize = 20;
const MAX_COMMAND_BYTES: usize = 500;

/// A line for a shell: not empty, at most 500 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CheckCommand(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum CheckCommandError {
    #[error("a check is a command: it cannot be empty")]
    Empty,
    #[error("a check has at most {MAX_COMMAND_BYTES} bytes; put a longer one into a script of the repository")]
    TooLong,
    #[error("a check is one line without control characters")]
    Control,
}

impl TryFrom<String> for CheckCommand {
    type Error = CheckCommandError;

    fn try_from(text: String) -> Result<Self, CheckCommandError> {
        let text = text.trim();
        match text.len() {
            0 => Err(CheckCommandError::Empty),
            bytes if bytes > MAX_COMMAND_BYTES => Err(CheckCommandError::TooLong),
            _ if text.chars().any(|c| c.is_control() && c != '\t') => Err(CheckCommandError::Control),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl From<CheckCommand> for String {
    fn from(command: CheckCommand) -> Self {
        command.0
    }
}

impl AsRef<str> for CheckCommand {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Who wants a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckOrigin {
    /// It was given with the task.
    Task,
    /// The repository's `AGENTS.md`, as it came in.
    AgentsMd,
    /// The server's owner.
    Configuration,
}

/// All checks of a task, each once: those given with it, those that the root's `AGENTS.md` lists (each line of a fenced block
/// of shell, or of no language, beneath a heading that speaks of checks or tests; comments and prompts are left out), and the
/// configured ones.
pub(crate) fn listed(
    given: &[CheckCommand],
    agents_md: Option<&str>,
    configured: &[CheckCommand],
) -> Vec<(CheckCommand, CheckOrigin)> {
    let of_repository: Vec<CheckCommand> = agents_md
        .map(listed_in)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|command| CheckCommand::try_from(command).ok())
        .take(MAX_CHECKS)
        .collect();
    let mut listed: Vec<(CheckCommand, CheckOrigin)> = Vec::new();
    for (commands, origin) in
        [(given, CheckOrigin::Task), (&of_repository, CheckOrigin::AgentsMd), (configured, CheckOrigin::Configuration)]
    {
        for command in commands {
            if listed.iter().all(|(known, _)| known != command) {
                listed.push((command.clone(), origin));
            }
        }
    }
    listed
}

fn listed_in(agents_md: &str) -> Vec<String> {
    const LANGUAGES: [&str; 6] = ["", "sh", "bash", "shell", "zsh", "console"];
    let mut commands = Vec::new();
    let mut is_about_checks = false;
    // None outside of a fenced block; inside, whether its lines are commands.
    let mut fence: Option<bool> = None;
    let mut unfinished = String::new();
    for line in agents_md.lines() {
        let text = line.trim();
        if let Some(language) = text.strip_prefix("```") {
            fence = match fence {
                Some(_) => None,
                None => Some(is_about_checks && LANGUAGES.contains(&language.trim())),
            };
            unfinished.clear();
        } else if fence.is_none() && text.starts_with('#') {
            let heading = text.to_lowercase();
            is_about_checks = heading.contains("check") || heading.contains("test");
        } else if fence == Some(true) && !text.is_empty() && !text.starts_with('#') {
            unfinished.push_str(text.strip_prefix("$ ").unwrap_or(text));
            match unfinished.strip_suffix('\\') {
                Some(begun) => unfinished.truncate(begun.len()),
                None => commands.push(std::mem::take(&mut unfinished)),
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_the_shell_lines_beneath_a_heading_about_them() {
        let text = "# Guide\n```sh\nmake install\n```\n## Before you finish: checks\nRun:\n```sh\n# all\n$ make lint\n\
                    pytest -q \\\n  tests\nmake lint\n```\n```python\nassert 1\n```\n## Style\n```\nblack .\n```\n### Testing\n  ```\n  cargo test\n  ```\n";
        let command = |text: &str| CheckCommand::try_from(text.to_owned()).unwrap();
        let found: Vec<_> = listed(&[command("tox")], Some(text), &[command("make all"), command("tox")])
            .into_iter()
            .map(|(command, origin)| (String::from(command), origin))
            .collect();
        let of_repository = ["make lint", "pytest -q tests", "cargo test"].map(|text| (text, CheckOrigin::AgentsMd));
        let expected = [("tox", CheckOrigin::Task)].into_iter().chain(of_repository);
        let expected = expected.chain([("make all", CheckOrigin::Configuration)]);
        assert_eq!(found, expected.map(|(text, origin)| (text.to_owned(), origin)).collect::<Vec<_>>());
        assert_eq!(listed(&[], None, &[]), []);
    }

    #[test]
    fn a_check_is_one_bounded_line() {
        for (text, wrong) in [
            (" \n".to_owned(), CheckCommandError::Empty),
            ("a\nb".to_owned(), CheckCommandError::Control),
            ("x".repeat(501), CheckCommandError::TooLong),
        ] {
            assert_eq!(CheckCommand::try_from(text), Err(wrong));
        }
    }
}
