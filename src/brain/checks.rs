//! The checks of a task, as the agent itself ran them: what it claims, seen from the tool calls it made.

use std::fmt;

use atelier_agent::wire::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CurrentPatch, references::Objection};
use crate::domain::{
    check::{CheckRun, CheckStatus},
    conversation::ToolCall,
    event::EventBody,
};

/// What has to be run before the end, and what tells whether there is anything to check.
#[derive(Clone)]
pub(crate) struct ChecksToRun {
    pub(crate) commands: Vec<String>,
    pub(crate) current_patch: CurrentPatch,
}

impl fmt::Debug for ChecksToRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChecksToRun").field("commands", &self.commands).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Checks(Vec<CheckRun>);

impl Checks {
    pub(super) fn new(commands: Vec<String>) -> Self {
        let check = |command| CheckRun { command, status: CheckStatus::NotRun, exit_code: None };
        Self(commands.into_iter().map(check).collect())
    }

    /// A tool call came back. A change makes every run before it worthless; what a command changes is not seen.
    pub(super) fn returned(&mut self, call: &ToolCall, result: &Object) {
        let argument = |name: &str| call.arguments.get(name).and_then(Value::as_str);
        let succeeded = result.get("status").and_then(Value::as_str) == Some("success");
        match call.name.as_str() {
            "edit_file" if succeeded => {
                for check in &mut self.0 {
                    (check.status, check.exit_code) = (CheckStatus::NotRun, None);
                }
            }
            "run_command" if argument("workdir").is_none_or(is_root) => {
                let Some(exit_code) = result.get("returncode").and_then(Value::as_i64) else { return };
                let command = argument("command").unwrap_or_default();
                for check in self.0.iter_mut().filter(|check| runs(command, &check.command)) {
                    check.status = if exit_code == 0 { CheckStatus::Passed } else { CheckStatus::Failed };
                    check.exit_code = Some(exit_code);
                }
            }
            _ => {}
        }
    }

    /// None when all have passed.
    pub(super) fn objection(&self) -> Option<Objection> {
        let open: Vec<String> = self
            .0
            .iter()
            .filter(|check| check.status != CheckStatus::Passed)
            .map(|check| match check.exit_code {
                Some(code) => format!("- `{}`: ended with {code}", check.command),
                None => format!("- `{}`: not run since the last change", check.command),
            })
            .collect();
        if open.is_empty() {
            return None;
        }
        let list = open.join("\n");
        Some(Objection {
            to_person: format!("checks have not passed since the last change.\n{list}"),
            to_model: format!(
                "These checks have not passed since your last change:\n\n{list}\n\nRun each from the root of the repository, \
                 exactly as it stands here (a pipe would hide its exit code), and mend what they find, as far as it has to do \
                 with your task. Then finish again, with the explanation of the whole work. When a check cannot pass here, \
                 leave it and say why."
            ),
        })
    }

    /// How they stand, for people.
    pub(super) fn report(&self) -> Option<EventBody> {
        (!self.0.is_empty()).then(|| EventBody::Checks { checks: self.0.clone() })
    }
}

fn is_root(workdir: &str) -> bool {
    matches!(workdir.trim_end_matches('/'), "" | "." | "/app/code")
}

/// Whether a command is the check, or a chain of `&&` that fails when the check does.
fn runs(command: &str, check: &str) -> bool {
    let words = |text: &str| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.strip_suffix(" 2>&1").map_or(text.clone(), str::to_owned)
    };
    let check = words(check);
    words(command) == check || chain(command).is_some_and(|parts| parts.into_iter().any(|part| words(part) == check))
}

/// The parts between `&&`; none when something else tells the shell to go on after a failure.
fn chain(command: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut quote) = (Vec::new(), 0, None);
    let mut characters = command.trim().char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(characters.next()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '&') if characters.next_if(|(_, next)| *next == '&').is_some() => {
                parts.push(&command.trim()[from..at]);
                from = at + "&&".len();
            }
            // As in 2>&1.
            (None, '&') if command.trim()[..at].ends_with('>') => {}
            (None, '|' | ';' | '&' | '\n') => return None,
            _ => {}
        }
    }
    parts.push(&command.trim()[from..]);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(checks: &mut Checks, name: &str, arguments: Value, result: &Value) {
        let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
        checks.returned(&call, result.as_object().unwrap());
    }

    fn run(checks: &mut Checks, command: &str, returncode: i64) -> Vec<(CheckStatus, Option<i64>)> {
        call(
            checks,
            "run_command",
            json!({"command": command}),
            &json!({"status": "success", "returncode": returncode}),
        );
        checks.0.iter().map(|check| (check.status, check.exit_code)).collect()
    }

    #[test]
    fn a_check_counts_when_it_ran_as_it_stands_and_nothing_changed_since() {
        let mut checks = Checks::new(vec!["pytest -q".to_owned()]);
        let open = vec![(CheckStatus::NotRun, None)];
        for other in [
            "pytest",
            "pytest -q | tail",
            "pytest -q; true",
            "pytest -q || true",
            "echo pytest -q",
            "pytest -q &",
            "true || a && pytest -q",
            "echo 'a && pytest -q && b'",
            "a && pytest -q\ntrue",
        ] {
            assert_eq!(run(&mut checks, other, 0), open, "{other}");
        }
        call(&mut checks, "run_command", json!({"command": "pytest -q", "workdir": "sub"}), &json!({"returncode": 0}));
        assert!(checks.objection().unwrap().to_model.contains("`pytest -q`: not run"));
        assert_eq!(run(&mut checks, "pytest  -q 2>&1", 1), [(CheckStatus::Failed, Some(1))]);
        assert!(checks.objection().unwrap().to_model.contains("ended with 1"));
        assert_eq!(run(&mut checks, "cd . && pytest -q 2>&1 && echo 'a; b && c'", 0), [(CheckStatus::Passed, Some(0))]);
        assert_eq!(checks.objection(), None);
        call(&mut checks, "edit_file", json!({"file_path": "a"}), &json!({"status": "failure"}));
        assert_eq!(checks.objection(), None);
        call(&mut checks, "edit_file", json!({"file_path": "a"}), &json!({"status": "success"}));
        assert!(checks.objection().is_some());
        assert_eq!(Checks::default().report(), None);
    }
}
