//! One tool call, as the story shows it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::terminal;
use crate::diff::{self, Diff};

/// Room for one edit in the story, and the time for its colours.
const ROWS: usize = 300;
const PATIENCE: Duration = Duration::from_millis(200);
/// Longer texts are cut in the middle; the events have them whole.
const MAX_CHARACTERS: usize = 8000;
/// What is longer than that is folded away.
const MAX_OPEN_LINES: usize = 14;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    /// The one argument that says what it is about: a command, a path, a pattern.
    pub(super) subject: String,
    /// What the result says in a word: an exit code, counts.
    pub(super) verdict: String,
    pub(super) outcome: Outcome,
    pub(super) message: Option<String>,
    pub(super) body: CallBody,
    pub(super) is_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Waiting,
    Success,
    Failure,
}

#[derive(Debug)]
pub(super) enum CallBody {
    None,
    /// Named texts, one below the other.
    Texts(Vec<(&'static str, Cut)>),
    Edit(Diff),
}

/// A text with its middle left out when it is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) head: String,
    pub(super) left_out: usize,
    pub(super) tail: String,
}

impl Call {
    /// A call on its way.
    pub(super) fn waiting(name: &str, arguments: &Value) -> Self {
        let body = if is_known(name) { CallBody::None } else { texts([("arguments", pretty(arguments))]) };
        Self {
            name: name.to_owned(),
            subject: subject(name, arguments),
            verdict: String::new(),
            outcome: Outcome::Waiting,
            message: None,
            is_open: false,
            body,
        }
    }

    /// A call with its result.
    pub(super) fn returned(name: &str, arguments: &Value, result: &Map<String, Value>) -> Self {
        let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
        let failed = result.get("status").and_then(Value::as_str) != Some("success");
        let exit = result.get("returncode").and_then(Value::as_i64);
        let body = match name {
            "run_command" => {
                texts([("output", terminal::plain(&text("stdout"))), ("errors", terminal::plain(&text("stderr")))])
            }
            "edit_file" => match diff::parse(&text("diff"), ROWS, PATIENCE) {
                diff if diff.files.is_empty() => texts([("diff", text("diff"))]),
                diff => CallBody::Edit(diff),
            },
            "read_file" => texts([("content", text("content"))]),
            _ => texts([("arguments", pretty(arguments)), ("result", pretty(&Value::Object(result.clone())))]),
        };
        let verdict = match (&body, exit) {
            (_, Some(exit)) => tr!("exit {code}", code = exit),
            (CallBody::Edit(diff), None) => {
                let entries = diff.files.iter().map(|file| &file.entry);
                let counts = entries.fold((0, 0), |(i, d), entry| (i + entry.insertions, d + entry.deletions));
                format!("+{} \u{2212}{}", counts.0, counts.1)
            }
            _ if failed => "failed".to_owned(),
            _ => String::new(),
        };
        // What was read is long and known; what was done or went wrong is what a reader looks for.
        let is_open = name != "read_file" && is_known(name) && body.lines() <= MAX_OPEN_LINES;
        let outcome = if failed || exit.is_some_and(|exit| exit != 0) { Outcome::Failure } else { Outcome::Success };
        let message = Some(text("message")).filter(|message| failed && !message.is_empty());
        Self { name: name.to_owned(), subject: subject(name, arguments), verdict, outcome, message, body, is_open }
    }
}

impl Call {
    /// Whether it only looks.
    pub(super) fn reads(&self) -> bool {
        matches!(&*self.name, "read_file" | "list_files" | "search_files")
    }
}

impl CallBody {
    fn lines(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Texts(texts) => {
                texts.iter().map(|(_, cut)| cut.head.lines().count() + cut.tail.lines().count()).sum()
            }
            Self::Edit(diff) => diff.files.iter().map(|file| file.piece.rows).sum(),
        }
    }
}

impl Cut {
    pub(super) fn new(text: &str) -> Self {
        let text = text.trim_end_matches('\n');
        let characters = text.chars().count();
        if characters <= MAX_CHARACTERS {
            return Self { head: text.to_owned(), left_out: 0, tail: String::new() };
        }
        // The end tells more than the beginning: errors stand there.
        let (head, tail) = (MAX_CHARACTERS / 4, MAX_CHARACTERS - MAX_CHARACTERS / 4);
        Self {
            head: text.chars().take(head).collect(),
            left_out: characters - head - tail,
            tail: text.chars().skip(characters - tail).collect(),
        }
    }
}

fn is_known(name: &str) -> bool {
    matches!(name, "run_command" | "edit_file" | "read_file")
}

fn subject(name: &str, arguments: &Value) -> String {
    let text = |key: &str| arguments.get(key).and_then(Value::as_str);
    let number = |key: &str| arguments.get(key).and_then(Value::as_u64);
    match name {
        "run_command" => match (text("command"), text("workdir").filter(|dir| !matches!(*dir, "" | "."))) {
            (Some(command), Some(dir)) => format!("{command}  (in {dir})"),
            (command, _) => command.unwrap_or_default().to_owned(),
        },
        "read_file" => {
            let path = text("file_path").unwrap_or_default();
            match (number("start"), number("end")) {
                (None | Some(0), None) => path.to_owned(),
                (start, Some(end)) => format!("{path}  {}–{end}", start.unwrap_or(0)),
                (Some(start), None) => format!("{path}  from {start}"),
            }
        }
        _ => ["file_path", "path", "pattern", "query", "command"]
            .iter()
            .find_map(|key| text(key))
            .unwrap_or_default()
            .to_owned(),
    }
}

fn texts<const N: usize>(texts: [(&'static str, String); N]) -> CallBody {
    let texts: Vec<_> = texts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
    if texts.is_empty() {
        return CallBody::None;
    }
    CallBody::Texts(texts.into_iter().map(|(name, text)| (name, Cut::new(&text))).collect())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_ends() {
        let cut = Cut::new(&format!("{}{}", "a".repeat(9000), "z".repeat(1000)));
        assert_eq!((cut.head.len(), cut.left_out, cut.tail.len()), (2000, 2000, 6000));
        assert!(cut.tail.ends_with('z'));
    }

    #[test]
    fn whatever_a_model_calls_can_be_shown() {
        let result = serde_json::json!({"status": "failure", "message": "no such tool"});
        let call = Call::returned("fly", &Value::from(7), result.as_object().unwrap());
        assert_eq!((call.outcome, call.message.as_deref()), (Outcome::Failure, Some("no such tool")));
        assert!(matches!(call.body, CallBody::Texts(texts) if texts.len() == 2));
    }
}
