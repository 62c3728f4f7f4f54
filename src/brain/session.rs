//! One task's conversation: every step is in the database before anybody acts on it.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use atelier_agent::wire::{OUT_OF_MEMORY, Object, Payload, Reply, StepRequest};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    ChecksToRun, Critic, EditWay, Fallback, ReferenceCheck,
    agents_files::AgentsFiles,
    checks::Checks,
    conversation::{Conversation, Due},
    critique::Review,
    memory::Counts,
    offer, prompt,
    speaker::Speaker,
    stuck::StuckWatch,
    tool_text,
    transcript::Transcript,
};
use crate::{
    config::OnOom,
    db::{Db, DbError, Decided, Ending, Record, SpeakerHash, StoredReply},
    domain::{
        conversation::{Message, ToolCall},
        day_budget::DayLimits,
        event::{EventBody, milliseconds},
        excerpt::{cut_strings, cut_value, head_and_tail},
        failure::{Failure, FailureKind},
        task::Task,
        usage::Usage,
    },
    llm::{Model, RetryPolicy, Tool},
};

/// What a session works with besides the task.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    pub(crate) model: Arc<dyn Model>,
    /// Goes on when the model is out of reach.
    pub(crate) fallback: Option<Fallback>,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_output_tokens: u32,
    /// What the model can read at once.
    pub(crate) context_tokens: u64,
    /// Every `AGENTS.md` by its path, as it was when the repository came in.
    pub(crate) agents_files: BTreeMap<String, String>,
    /// How much of them the model is shown in all.
    pub(crate) agents_files_max_bytes: usize,
    pub(crate) edit_way: EditWay,
    pub(crate) on_oom: OnOom,
    /// The model that reads the patch before the end, if there is one.
    pub(crate) critic: Option<Critic>,
    /// Of all tasks together.
    pub(crate) day_limits: DayLimits,
    /// Of a change.
    pub(crate) checks: Option<ChecksToRun>,
    /// Of an answer that has to name lines.
    pub(crate) reference_check: Option<ReferenceCheck>,
    /// Where the transcript is written.
    pub(crate) logs: PathBuf,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Finished { summary: String },
    Failed(Failure),
}

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

/// The brain of one task, behind its socket. Requests are answered one at a time.
///
/// Everything it knows is in the database, and nothing is done twice: a server that was killed in the middle of a step
/// reads it back and goes on where the record ends. Only a question whose answer was not stored yet is asked again.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) task: Task,
    pub(super) db: Db,
    pub(super) tools: Vec<Tool>,
    speaker: Speaker,
    pub(super) settings: SessionSettings,
    pub(super) fell_back: AtomicBool,
    /// None after the database failed: what is in memory may be ahead of the disk then, so it is read anew.
    state: Mutex<Option<State>>,
    pub(super) outcome: mpsc::UnboundedSender<Outcome>,
    /// The task is over, however it ended: an answer that is still being waited for is not worth its price.
    over: CancellationToken,
    /// The server stops and the task goes on later.
    stopping: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) conversation: Conversation,
    /// Tool calls of the last answer that wait for their results; the first one is with the agent.
    pub(super) calls: VecDeque<ToolCall>,
    pub(super) stuck: StuckWatch,
    pub(super) agents_files: AgentsFiles,
    pub(super) checks: Checks,
    pub(super) transcript: Transcript,
    pub(super) counts: Counts,
    pub(super) handed_out_at: Instant,
    pub(super) last_seq: Option<u64>,
    pub(super) steps: u32,
    pub(super) usage: Usage,
    pub(super) ended: bool,
}

/// Bytes kept of one text in an event; the whole of it is in the conversation and the logs.
pub(super) const MAX_EVENT_TEXT: usize = 16 * 1024;
/// Bytes kept of what an agent says of its end.
const MAX_REASON: usize = 500;
/// Bytes of one tool result that reach the model. Our agent stays far below; another program might not.
const MAX_TOOL_TEXT: usize = 128 * 1024;

impl Session {
    /// Begins the conversation, or goes on with it as far as it is recorded; its end comes over the returned channel. It
    /// works until `over`.
    pub(crate) async fn open(
        task: Task,
        db: Db,
        settings: SessionSettings,
        over: CancellationToken,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Outcome>), DbError> {
        let (outcome, ended) = mpsc::unbounded_channel();
        let tools = offer::tools(task.mode, settings.edit_way);
        let stopping = CancellationToken::new();
        let speaker = Speaker::new(db.clone(), task.id.clone());
        let session = Self {
            task,
            db,
            tools,
            speaker,
            settings,
            fell_back: AtomicBool::default(),
            state: Mutex::default(),
            outcome,
            over,
            stopping,
        };
        let state = session.recall().await?;
        *session.state.lock().await = Some(state);
        Ok((Arc::new(session), ended))
    }

    /// Whether one with this secret may speak for the agent; to be asked before anything long is read from it.
    pub(crate) async fn admits(&self, secret: SpeakerHash) -> Result<bool, StepError> {
        Ok(self.speaker.admits(secret).await?)
    }

    /// What the model is offered.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// How long the agent has had something to do without a word; `None` while the server has.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.state.try_lock().ok()?.as_ref().map(|state| state.handed_out_at.elapsed())
    }

    /// Takes no request any more. One that is being answered may come to its end within `patience`, so that an answer that
    /// is paid for is not lost.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        if tokio::time::timeout(patience, self.state.lock()).await.is_err() {
            tracing::info!("a question is left open; the next start asks it again");
        }
    }

    /// Answers one request. The work goes on when the caller goes away: its answer is stored, and a repetition of the
    /// request gets it without a second call of the model. Only the end of the task breaks it off.
    pub(crate) async fn step(self: Arc<Self>, request: StepRequest, secret: SpeakerHash) -> Result<Value, StepError> {
        let (over, stopping) = (self.over.clone(), self.stopping.clone());
        let work = over.run_until_cancelled_owned(async move { self.answer(request, secret).await });
        match tokio::spawn(work).await {
            Ok(Some(answer)) => answer,
            _ if stopping.is_cancelled() => Err(StepError::Stopping),
            Ok(None) | Err(_) => Err(StepError::Ended),
        }
    }

    async fn answer(&self, request: StepRequest, secret: SpeakerHash) -> Result<Value, StepError> {
        if request.task_id != self.task.id.as_str() {
            return Err(StepError::WrongTask);
        }
        if !self.speaker.hears(secret).await? {
            return Err(StepError::OtherSpeaker);
        }
        let mut kept = self.state.lock().await;
        if self.stopping.is_cancelled() {
            return Err(StepError::Stopping);
        }
        let mut state = match kept.take() {
            Some(state) => state,
            None => self.recall().await?,
        };
        let reply = self.reply(&mut state, request).await;
        if !matches!(reply, Err(StepError::Db(_))) {
            *kept = Some(state);
        }
        reply
    }

    async fn reply(&self, state: &mut State, request: StepRequest) -> Result<Value, StepError> {
        if let Some(seq) = request.seq {
            if let Some(stored) = self.db.reply(&self.task.id, seq).await? {
                return Ok(stored);
            }
            if seq != state.last_seq.map_or(0, |last| last + 1) {
                let last = state.last_seq.map_or_else(|| "the beginning".to_owned(), |last| last.to_string());
                return Err(StepError::OutOfOrder { got: seq, last });
            }
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
        let (messages, events) =
            (prompt::opening(&self.task, &conventions.text, self.settings.checks.as_ref()), conventions.events);
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

    pub(super) async fn hand_out(
        &self,
        state: &mut State,
        call: &ToolCall,
        seq: Option<u64>,
        mut record: Record,
    ) -> Result<Value, StepError> {
        state.counts.calls += 1;
        record.events.push(EventBody::ToolCalled {
            step: state.steps,
            call: state.counts.calls,
            name: call.name.clone(),
            arguments: cut_value(&call.arguments, MAX_EVENT_TEXT),
        });
        // The agent answers a call without arguments with what is missing, and the model reads that.
        let arguments = call.arguments.as_object().cloned().unwrap_or_default();
        let reply = wire(&Reply::ToolCall { name: call.name.clone(), arguments });
        self.send(state, seq, record, reply).await
    }

    pub(super) async fn end(
        &self,
        state: &mut State,
        outcome: Outcome,
        seq: Option<u64>,
        mut record: Record,
    ) -> Result<Value, StepError> {
        record.events.extend(state.checks.report());
        let (summary, decided) = match &outcome {
            Outcome::Finished { summary } => {
                (summary.clone(), Decided { ending: Ending::Completed, summary: Some(summary.clone()) })
            }
            Outcome::Failed(failure) => {
                (failure.message.clone(), Decided { ending: Ending::Failed(failure.clone()), summary: None })
            }
        };
        let record = Record { decided: Some(decided), ..record };
        let reply = self.send(state, seq, record, wire(&Reply::Finish { summary })).await?;
        state.ended = true;
        // Nobody waits when the task was cancelled meanwhile.
        let _ = self.outcome.send(outcome);
        Ok(reply)
    }

    async fn send(
        &self,
        state: &mut State,
        seq: Option<u64>,
        mut record: Record,
        reply: Value,
    ) -> Result<Value, StepError> {
        record.reply = seq.map(|seq| StoredReply { seq, reply: reply.clone() });
        self.commit(state, record).await?;
        state.handed_out_at = Instant::now();
        Ok(reply)
    }

    /// Puts the record and everything the state knows onto the disk.
    pub(super) async fn commit(&self, state: &mut State, mut record: Record) -> Result<(), StepError> {
        let messages = record.messages.clone();
        record.memory = Some(state.memory()?);
        self.db.record(&self.task.id, record).await?;
        state.conversation.extend(messages);
        Ok(())
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

fn wire(reply: &Reply) -> Value {
    serde_json::to_value(reply).unwrap_or_default()
}
