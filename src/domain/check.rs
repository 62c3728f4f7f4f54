//! Checks: the commands a repository, or the server's owner, wants to have run before work is handed over.

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

const MAX_CHECKS: usize = 20;
const MAX_COMMAND_BYTES: usize = 500;

/// The configured commands, then those that a repository's `AGENTS.md` lists: each line of a fenced block of shell (or of
/// no language) beneath a heading that speaks of checks or tests. Comments and prompts are left out.
pub(crate) fn commands(configured: &[String], agents_md: Option<&str>) -> Vec<String> {
    let listed = agents_md.map(listed_in).unwrap_or_default();
    let mut commands: Vec<String> = Vec::new();
    for command in configured.iter().cloned().chain(listed) {
        let fits = !command.is_empty() && command.len() <= MAX_COMMAND_BYTES && commands.len() < MAX_CHECKS;
        if fits && !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
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
        let found = commands(&["make all".to_owned(), String::new()], Some(text));
        assert_eq!(found, ["make all", "make lint", "pytest -q tests", "cargo test"]);
        assert_eq!(commands(&[], None), Vec::<String>::new());
    }
}
