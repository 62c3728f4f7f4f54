//! From events to what the page shows of them. Page and live stream tell the same story.

use std::collections::HashMap;

use askama::Template;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    call::{Call, CallBody, Cut, Outcome},
    checks, figures,
    readings::{self, Readings},
    task_view::stage_word,
};
use crate::{
    domain::{
        event::{CritiqueDecision, Event, EventBody},
        patch::DiffSummary,
        pull_request::PullRequestState,
        task::Status,
        task_id::TaskId,
        usage::Usage,
    },
    web::{AppState, error::WebError, language, reading::Reader, words},
};

/// Reads events in order and tells each as a block. Some blocks take the place of one told before: they have its id.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Arguments of the calls that have not returned.
    pending: HashMap<u32, Value>,
    readings: Readings,
}

/// A part of the story; an element of the page with this id.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) id: String,
    /// The event that told it last.
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) body: BlockBody,
}

/// A block on its own, as the live stream sends it; the page includes the same template.
#[derive(Template)]
#[template(path = "task/block.html")]
pub(super) struct BlockPiece<'a> {
    pub(super) block: &'a Block,
}

#[derive(Debug)]
pub(super) enum BlockBody {
    /// One line: a stage, a note.
    Mark {
        tone: Tone,
        text: String,
    },
    /// The model is thinking.
    Asked {
        step: u32,
    },
    /// What the model said.
    Said {
        step: u32,
        text: Option<Cut>,
        figures: String,
    },
    /// What a person said.
    Told {
        heading: String,
        text: Cut,
    },
    /// What the critique model thinks of the work.
    Critique {
        round: u32,
        verdict: &'static str,
        comments: Option<Cut>,
        figures: String,
    },
    Call {
        call: Call,
        took: Option<String>,
    },
    /// Calls that read one after the other. A live page has the blocks already, by their ids.
    Readings {
        holds: Vec<String>,
        names: String,
        calls: u64,
        blocks: Vec<Block>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Stage,
    Note,
    Warning,
    Failure,
    Success,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Success => "success",
        }
    }
}

/// How far before an event what belongs to it may stand: its call, or what was read before.
const LOOK_BACK: u32 = 200;

impl Story {
    /// A story that goes on after an event: it knows the calls that are still on their way there.
    pub(super) async fn resume(state: &AppState, id: &TaskId, after: u64, reader: Reader) -> Result<Self, WebError> {
        let mut story = Self::default();
        let before = state.db.events_after(id, after.saturating_sub(LOOK_BACK.into()), LOOK_BACK).await?;
        for event in reader.value(before)? {
            if event.seq <= after {
                story.tell(&event).for_each(drop);
            }
        }
        Ok(story)
    }

    /// The block of an event, and the line that it is now a part of.
    pub(super) fn tell(&mut self, event: &Event) -> impl Iterator<Item = Block> + use<> {
        let block = self.block(event);
        let line = self.readings.note(&block);
        [block].into_iter().chain(line)
    }

    fn block(&mut self, event: &Event) -> Block {
        let (id, body) = match &event.body {
            EventBody::ModelAsked { step } => (format!("step-{step}"), BlockBody::Asked { step: *step }),
            EventBody::ModelReplied { step, text, usage, duration_ms, .. } => {
                let (tokens, cost) = (tokens(*usage), figures::cost(*usage));
                let figures = format!("{tokens} · {cost} · {}", figures::milliseconds(*duration_ms));
                let text = Some(text.trim()).filter(|text| !text.is_empty()).map(Cut::new);
                (format!("step-{step}"), BlockBody::Said { step: *step, text, figures })
            }
            EventBody::Critique { round, decision, comments, usage } => {
                let figures = format!("{} · {}", tokens(*usage), figures::cost(*usage));
                let verdict = match decision {
                    CritiqueDecision::Accept => tr!("accepted"),
                    CritiqueDecision::Revise => tr!("sent back"),
                };
                let comments = Some(comments.trim()).filter(|text| !text.is_empty()).map(Cut::new);
                (format!("critique-{round}"), BlockBody::Critique { round: *round, verdict, comments, figures })
            }
            EventBody::Turn { number, instruction } => {
                let heading = tr!("Turn {number}", number = number);
                (format!("event-{}", event.seq), BlockBody::Told { heading, text: Cut::new(instruction) })
            }
            EventBody::Told { text, .. } => {
                let heading = tr!("Said while it ran").to_owned();
                (format!("event-{}", event.seq), BlockBody::Told { heading, text: Cut::new(text) })
            }
            EventBody::ToolCalled { call, name, arguments, .. } => {
                self.pending.insert(*call, arguments.clone());
                (format!("call-{call}"), BlockBody::Call { call: Call::waiting(name, arguments), took: None })
            }
            EventBody::ToolReturned { call, name, result, duration_ms, .. } => {
                let arguments = self.pending.remove(call).unwrap_or_default();
                let took = Some(figures::milliseconds(*duration_ms));
                (format!("call-{call}"), BlockBody::Call { call: Call::returned(name, &arguments, result), took })
            }
            other => {
                let (tone, text) = mark(other);
                (format!("event-{}", event.seq), BlockBody::Mark { tone, text })
            }
        };
        Block { id, seq: event.seq, at: event.at, body }
    }

    /// The whole of it, with every block in the place where it was first told.
    pub(super) fn tell_all(&mut self, events: &[Event]) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for block in events.iter().flat_map(|event| self.tell(event)) {
            if let Some(&place) = places.get(&block.id) {
                blocks[place] = block;
            } else {
                places.insert(block.id.clone(), blocks.len());
                blocks.push(block);
            }
        }
        readings::folded(blocks)
    }
}

fn tokens(usage: Usage) -> String {
    let (read, written) = (figures::count(usage.input_tokens), figures::count(usage.output_tokens));
    tr!("{read} in · {written} out", read = read, written = written)
}

fn choice(left_out: usize, diff: DiffSummary) -> String {
    if left_out == 0 {
        return tr!("Everything is in the result again.").to_owned();
    }
    let left_out = tr_count!(left_out, "{n} file or hunk", "{n} files or hunks");
    let files = tr_count!(diff.files, "{n} file", "{n} files");
    tr!("Left out of the result: {left_out}. It changes {files} now.", left_out = left_out, files = files)
}

fn mark(body: &EventBody) -> (Tone, String) {
    match body {
        EventBody::Status { status, failure } => match (status, failure) {
            (Status::Queued, _) => (Tone::Note, tr!("Submitted").to_owned()),
            (Status::Running, _) => (Tone::Note, tr!("Started").to_owned()),
            (Status::Completed, _) => (Tone::Success, tr!("Completed").to_owned()),
            (Status::Cancelled, _) => (Tone::Warning, tr!("Cancelled").to_owned()),
            (Status::Failed, Some(failure)) => {
                (Tone::Failure, tr!("Failed: {kind}", kind = words::failure(failure.kind)))
            }
            (Status::Failed, None) => (Tone::Failure, tr!("Failed").to_owned()),
        },
        EventBody::Stage { stage } => (Tone::Stage, stage_word(*stage).to_owned()),
        EventBody::Note { message } => (Tone::Note, language::stored(message).into_owned()),
        EventBody::Warning { message } => (Tone::Warning, language::stored(message).into_owned()),
        EventBody::SetupEnded { exit_code, duration_ms } => {
            let tone = if *exit_code == 0 { Tone::Note } else { Tone::Failure };
            let took = figures::milliseconds(*duration_ms);
            (tone, tr!("setup.sh ended with exit code {code} after {took}", code = exit_code, took = took))
        }
        EventBody::AgentsFile { path, bytes, cut_bytes: 0 } => {
            let size = figures::bytes(*bytes);
            (Tone::Note, tr!("{path} was given to the model ({size})", path = path, size = size))
        }
        EventBody::AgentsFile { path, bytes, cut_bytes } => {
            let (all, cut) = (figures::bytes(*bytes), figures::bytes(*cut_bytes));
            let text = tr!(
                "{path} was given to the model ({all}, of which {cut} were cut off)",
                path = path,
                all = all,
                cut = cut
            );
            (Tone::Warning, text)
        }
        EventBody::Compacted { before_tokens, kept_messages } => {
            let text = tr!(
                "The older part of the conversation ({tokens} tokens in all) was summed up; the last {kept} stay",
                tokens = figures::count(*before_tokens),
                kept = tr_count!(*kept_messages, "{n} message", "{n} messages")
            );
            (Tone::Note, text)
        }
        EventBody::SentBack { message } => (Tone::Note, tr!("Sent back: {message}", message = message)),
        EventBody::References { references } => {
            let wrong = references.iter().filter(|checked| !checked.is_valid()).count() as u64;
            let all = tr_count!(references.len() as u64, "{n} reference", "{n} references");
            let tone = if wrong == 0 { Tone::Note } else { Tone::Warning };
            let text = match wrong {
                0 => tr!("The explanation has {all} to lines of the code, all of them right", all = all),
                _ => tr!(
                    "The explanation has {all} to lines of the code, {wrong} of them wrong",
                    all = all,
                    wrong = wrong
                ),
            };
            (tone, text)
        }
        EventBody::Checks { checks: claimed } => checks::claimed(claimed),
        EventBody::Verified { check, .. } => checks::verified(check),
        EventBody::Verification { verification } => checks::over(verification),
        EventBody::Diff { diff } => {
            let text = tr!(
                "Patch written: {files}, +{plus} −{minus}",
                files = tr_count!(diff.files, "{n} file", "{n} files"),
                plus = diff.insertions,
                minus = diff.deletions
            );
            (Tone::Note, text)
        }
        EventBody::Choice { left_out, diff } => (Tone::Note, choice(*left_out, *diff)),
        EventBody::PullRequest { pull_request } => {
            let tone = match &pull_request.state {
                PullRequestState::Publishing | PullRequestState::NothingToPublish => Tone::Note,
                PullRequestState::Opened => Tone::Success,
                PullRequestState::NeedsConfirmation { .. } | PullRequestState::Conflict { .. } => Tone::Warning,
                PullRequestState::Failed { .. } => Tone::Failure,
            };
            (tone, words::pull_request(pull_request))
        }
        // These have blocks of their own.
        EventBody::Turn { .. }
        | EventBody::Told { .. }
        | EventBody::ModelAsked { .. }
        | EventBody::ModelReplied { .. }
        | EventBody::Critique { .. }
        | EventBody::ToolCalled { .. }
        | EventBody::ToolReturned { .. } => (Tone::Note, String::new()),
    }
}
