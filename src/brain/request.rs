//! A request of the agent: what it means, given what is recorded, and what follows from it.

use atelier_agent::wire::{OUT_OF_MEMORY, Object, Payload, StepRequest};
use serde_json::Value;

use super::{
    conversation::Due,
    critique::Review,
    memory::State,
    prompt,
    reply::MAX_EVENT_TEXT,
    session::{Outcome, Session},
    tool_text,
};
use crate::{
    config::OnOom,
    db::{DbError, Record},
    domain::{
        conversation::Message,
        event::{EventBody, milliseconds},
        excerpt::{cut_strings, head_and_tail},
        failure::{Failure, FailureKind},
    },
};

/// Why a step is not answered. The agent's fault, but for the last two.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("this socket belongs to another task")]
    WrongTask,
    #[error("another program speaks for this task already")]
    OtherSpeaker,
    #[error("request {got} does not follow {last}; only the last request may be repeated")]
    OutOfOrder { got: u64, last: String },
    #[error("no tool call waits for this result")]
    NothingWaits,
    #[error("the task has ended")]
    Ended,
    /// The next server answers the same request.
    #[error("the server is stopping; ask again")]
    Stopping,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Bytes kept of what an agent says of its end.
const MAX_REASON: usize = 500;
/// Bytes of one tool result that reach the model. Our agent stays far below; another program might not.
const MAX_TOOL_TEXT: usize = 128 * 1024;

impl Session {
    pub(super) async fn reply(&self, state: &mut State, request: StepRequest) -> Result<Value, StepError> {
        if let Some(seq) = request.seq
            && seq != state.last_seq.map_or(0, |last| last + 1)
        {
            if let Some(stored) = self.db.reply(&self.task.id, seq).await? {
                return Ok(stored);
            }
            let last = state.last_seq.map_or_else(|| "the beginning".to_owned(), |last| last.to_string());
            return Err(StepError::OutOfOrder { got: seq, last });
        }
        if state.ended {
            return Err(StepError::Ended);
        }
        let reply = match (request.payload, state.conversation.due()) {
            (Payload::AgentAbort { reason }, _) => {
                let failure = aborted(&reason);
                self.end(state, Outcome::Failed(failure), request.seq, Record::default()).await?
            }
            (Payload::ToolResult { name, result, .. }, Due::Results) => {
                self.tool_result(state, request.seq, &name, &result).await?
            }
            (Payload::ToolResult { .. }, Due::Opening) => return Err(StepError::NothingWaits),
            (Payload::Start { .. }, Due::Opening) => self.start(state, request.seq).await?,
            (Payload::Start { .. }, _) if state.begins_turn => self.begin_turn(state, request.seq).await?,
            // An agent that starts again gets the call it has not answered yet.
            (Payload::Start { .. }, Due::Results) => {
                let call = state.calls.front().cloned().ok_or(StepError::NothingWaits)?;
                self.hand_out(state, &call, request.seq, Record::default()).await?
            }
            // This request was taken in before, and the server ended before it was answered.
            (_, Due::Question) => self.ask(state, request.seq, Record::default()).await?,
            (_, Due::Review(explanation)) => {
                // The round that was broken off does not count.
                state.counts.critiques = state.counts.critiques.saturating_sub(1);
                match self.may_end(state, &explanation, Record::default()).await? {
                    Review::Finish(record) => {
                        self.end(state, Outcome::Finished { summary: explanation }, request.seq, record).await?
                    }
                    Review::GoOn(record) => self.ask(state, request.seq, record).await?,
                }
            }
        };
        state.last_seq = request.seq.or(state.last_seq);
        Ok(reply)
    }

    async fn start(&self, state: &mut State, seq: Option<u64>) -> Result<Value, StepError> {
        let conventions = state.agents_files.of_root();
        let (messages, events) = (
            prompt::opening(&self.task, &conventions.text, self.settings.checks.as_ref(), &self.settings.reach),
            conventions.events,
        );
        self.ask(state, seq, Record { messages, events, ..Record::default() }).await
    }

    async fn tool_result(
        &self,
        state: &mut State,
        seq: Option<u64>,
        name: &str,
        result: &Object,
    ) -> Result<Value, StepError> {
        let Some(call) = state.calls.front().filter(|call| call.name == name).cloned() else {
            return Err(StepError::NothingWaits);
        };
        state.calls.pop_front();
        state.stuck.returned(&call, result);
        state.checks.returned(&call, result);
        let mut content = head_and_tail(&tool_text::render(result), MAX_TOOL_TEXT).into_owned();
        let conventions = state.agents_files.touched_by(&call);
        if !conventions.text.is_empty() {
            content.push('\n');
            content.push_str(&conventions.text);
        }
        let mut record = Record {
            messages: vec![Message::Tool { call_id: call.id, name: call.name.clone(), content }],
            events: vec![EventBody::ToolReturned {
                step: state.steps,
                call: state.counts.calls,
                name: call.name,
                result: cut_strings(result, MAX_EVENT_TEXT),
                duration_ms: milliseconds(state.handed_out_at.elapsed()),
            }],
            ..Record::default()
        };
        record.events.extend(conventions.events);
        if let Some(happened) = result.get(OUT_OF_MEMORY).and_then(Value::as_str) {
            let happened = head_and_tail(happened, MAX_REASON);
            match self.settings.on_oom {
                OnOom::End => return self.end(state, Outcome::Failed(out_of_memory(&happened)), seq, record).await,
                OnOom::Tell => {
                    record.events.push(EventBody::Warning { message: format!("Out of memory: {happened}.") });
                }
            }
        }
        match state.calls.front().cloned() {
            Some(next) => self.hand_out(state, &next, seq, record).await,
            None => self.ask(state, seq, record).await,
        }
    }
}

fn aborted(reason: &str) -> Failure {
    let reason = head_and_tail(reason, MAX_REASON);
    if let Some(happened) = reason.strip_prefix(OUT_OF_MEMORY) {
        return out_of_memory(happened.trim_start_matches([':', ' ']));
    }
    if reason == "max_iterations" {
        Failure::new(
            FailureKind::BudgetExceeded,
            "The agent reached its limit of tool calls. The work so far is kept; raise max_steps.",
        )
    } else {
        Failure::new(FailureKind::AgentExited, format!("The agent gave up: {reason}"))
    }
}

fn out_of_memory(happened: &str) -> Failure {
    Failure::new(
        FailureKind::Oom,
        format!(
            "Out of memory: {happened}. The work so far is kept. Raise [sandbox] memory_mb, ask for less at once (such as \
             fewer parallel jobs), or let the model go on after such an end with on_oom = \"tell\"."
        ),
    )
}
