//! Notices a model that goes round in circles, before it spends the whole budget on it.
//!
//! What counts is the same call with the same result: a command that is run again to wait for something slow changes its
//! output, and an edit between two runs of the tests changes theirs.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use atelier_agent::wire::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    conversation::ToolCall,
    failure::{Failure, FailureKind},
};

/// What the model did since it last made headway, as far as a repetition can be seen in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct StuckWatch {
    /// The last calls, oldest first.
    recent: VecDeque<Seen>,
    silent_answers: usize,
    warnings: u32,
    found: Option<Repetition>,
}

/// What to do about a model that repeats itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stuck {
    /// The first time: tell the model, and a person.
    Warn { to_model: String, to_person: String },
    /// It went on all the same.
    GiveUp(Failure),
}

/// One call and its result; what they say does not matter here, only whether it is the same again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    call: u64,
    result: u64,
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Repetition {
    SameResult,
    SameFailure,
    Alternation,
    Silence,
}

const SAME_RESULTS: usize = 4;
const SAME_FAILURES: usize = 3;
/// Calls in turns: the third time round is the last.
const ALTERNATING_CALLS: usize = 6;
const SILENT_ANSWERS: usize = 3;

impl StuckWatch {
    /// A call came back.
    pub(super) fn returned(&mut self, call: &ToolCall, result: &Object) {
        self.silent_answers = 0;
        let failed = result.get("status").and_then(Value::as_str) == Some("failure");
        let seen =
            Seen { call: digest(&(&call.name, call.arguments.to_string())), result: digest(&to_text(result)), failed };
        self.recent.push_back(seen);
        if self.recent.len() > ALTERNATING_CALLS {
            self.recent.pop_front();
        }
        self.found = self.found.or_else(|| self.repetition());
    }

    /// The model answered with neither text nor call.
    pub(super) fn silent(&mut self) {
        self.silent_answers += 1;
        if self.silent_answers >= SILENT_ANSWERS {
            self.found = Some(Repetition::Silence);
        }
    }

    /// What to do before the model is asked again. Whoever is warned starts with a clean slate.
    pub(super) fn judge(&mut self) -> Option<Stuck> {
        let found = self.found.take()?;
        self.recent.clear();
        self.silent_answers = 0;
        self.warnings += 1;
        Some(if self.warnings == 1 {
            Stuck::Warn {
                to_model: format!(
                    "You repeat yourself: {}. Doing it once more will not help. {}",
                    found.seen(),
                    found.way_out()
                ),
                to_person: format!("The model repeats itself: {}. It was told so.", found.seen()),
            }
        } else {
            Stuck::GiveUp(Failure::new(
                FailureKind::Stuck,
                format!(
                    "The model went on repeating itself after it was told: {}. The work so far is kept; start again with a \
                     clearer instruction, or with another model.",
                    found.seen()
                ),
            ))
        })
    }

    fn repetition(&self) -> Option<Repetition> {
        if let Some([first, rest @ ..]) = self.last::<SAME_FAILURES>().as_ref()
            && first.failed
            && rest.iter().all(|seen| seen == first)
        {
            return Some(Repetition::SameFailure);
        }
        if let Some([first, rest @ ..]) = self.last::<SAME_RESULTS>().as_ref()
            && rest.iter().all(|seen| seen == first)
        {
            return Some(Repetition::SameResult);
        }
        let turns = self.last::<ALTERNATING_CALLS>()?;
        let alternates = turns[0].call != turns[1].call && turns.iter().zip(&turns[2..]).all(|(one, two)| one == two);
        alternates.then_some(Repetition::Alternation)
    }

    fn last<const N: usize>(&self) -> Option<[Seen; N]> {
        let start = self.recent.len().checked_sub(N)?;
        let last: Vec<Seen> = self.recent.iter().skip(start).copied().collect();
        last.try_into().ok()
    }
}

impl Repetition {
    fn seen(self) -> &'static str {
        match self {
            Self::SameResult => "the same tool call brought the same result four times in a row",
            Self::SameFailure => "the same tool call failed in the same way three times in a row",
            Self::Alternation => "two tool calls took turns three times, with the same results each time",
            Self::Silence => "three answers in a row had neither text nor a tool call",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::SameResult | Self::Alternation => {
                "You know these results already: take the next step, or look somewhere else. If nothing is left to do, or \
                 nothing more can be done, answer without a tool call and say what is done and what is not."
            }
            Self::SameFailure => {
                "Read the message of the failure: change the arguments, or reach the goal in another way. If there is none, \
                 answer without a tool call and say what stands in the way."
            }
            Self::Silence => {
                "Call a tool to go on; or, when the work is done, answer in plain words what you did and found."
            }
        }
    }
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn to_text(result: &Object) -> String {
    serde_json::to_string(result).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn did(watch: &mut StuckWatch, command: &str, status: &str, output: &str) -> Option<Stuck> {
        let call =
            ToolCall { id: String::new(), name: "run_command".to_owned(), arguments: json!({"command": command}) };
        watch.returned(&call, json!({"status": status, "stdout": output}).as_object().unwrap());
        watch.judge()
    }

    /// How many calls it takes until something is found, at most 20.
    fn calls_until_found(mut call: impl FnMut(usize) -> (String, &'static str, String)) -> Option<usize> {
        let mut watch = StuckWatch::default();
        (1..=20).find(|number| {
            let (command, status, output) = call(*number);
            did(&mut watch, &command, status, &output).is_some()
        })
    }

    #[test]
    fn repetitions_are_found_as_soon_as_they_are_certain() {
        let same = |status: &'static str| move |_| ("ls".to_owned(), status, "a".to_owned());
        assert_eq!(calls_until_found(same("success")), Some(4));
        assert_eq!(calls_until_found(same("failure")), Some(3));
        let turns = |number: usize| (["ls", "pwd"][number % 2].to_owned(), "success", "a".to_owned());
        assert_eq!(calls_until_found(turns), Some(6));
    }

    #[test]
    fn headway_is_no_repetition() {
        let waiting = |number: usize| ("tail log".to_owned(), "success", format!("{number} %"));
        assert_eq!(calls_until_found(waiting), None);
        let other_calls = |number: usize| (format!("cat {number}"), "failure", "no".to_owned());
        assert_eq!(calls_until_found(other_calls), None);
        // Tests and edits take turns, but no two edits are the same.
        let mending = |number: usize| {
            if number.is_multiple_of(2) { ("test".to_owned(), "success", "red".to_owned()) } else { waiting(number) }
        };
        assert_eq!(calls_until_found(mending), None);
        let three = |number: usize| (["a", "b", "c"][number % 3].to_owned(), "success", String::new());
        assert_eq!(calls_until_found(three), None);
    }

    #[test]
    fn the_first_time_is_told_and_the_second_ends_it() {
        let mut watch = StuckWatch::default();
        let judged: Vec<Stuck> = (0..8).filter_map(|_| did(&mut watch, "ls", "success", "a")).collect();
        let [Stuck::Warn { to_model, to_person }, Stuck::GiveUp(failure)] = judged.as_slice() else {
            panic!("{judged:?}");
        };
        assert!(to_model.contains("four times") && to_person.contains("four times"), "{to_model}");
        assert_eq!(failure.kind, FailureKind::Stuck);
    }

    #[test]
    fn silence_counts_only_without_a_call_between() {
        let mut watch = StuckWatch::default();
        for _ in 0..2 {
            watch.silent();
        }
        assert_eq!(did(&mut watch, "ls", "success", "a"), None);
        for _ in 0..2 {
            watch.silent();
            assert_eq!(watch.judge(), None);
        }
        watch.silent();
        assert!(matches!(watch.judge(), Some(Stuck::Warn { .. })));
    }

    #[test]
    fn a_repetition_among_several_calls_of_one_answer_is_not_forgotten() {
        let mut watch = StuckWatch::default();
        let call = |command: &str| ToolCall {
            id: String::new(),
            name: "run_command".to_owned(),
            arguments: json!({"command": command}),
        };
        for command in ["ls", "ls", "ls", "ls", "pwd"] {
            watch.returned(&call(command), json!({"status": "success"}).as_object().unwrap());
        }
        assert!(watch.judge().is_some());
    }
}
