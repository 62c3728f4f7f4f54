//! One task's conversation: every step is in the database before anybody acts on it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use atelier_agent::wire::{OUT_OF_MEMORY, Object, Payload, Reply, StepRequest};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    ChecksToRun, Critic, EditWay, ReferenceCheck, Transcript, agents_files::AgentsFiles, checks::Checks,
    conversation::Conversation, last_word::Told, offer, prompt, speaker::Speaker, stuck::StuckWatch, tool_text,
};
use crate::{
    config::OnOom,
    db::{Db, DbError, Record, SpeakerHash, StoredReply},
    domain::{
        conversation::{Message, ToolCall},
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
    /// Of a change.
    pub(crate) checks: Option<ChecksToRun>,
    /// Of an answer that has to name lines.
    pub(crate) reference_check: Option<ReferenceCheck>,
    pub(crate) transcript: Transcript,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Finished { summary: String },
    Failed(Failure),
}

/// Why a step is not answered. The agent's fault, but for the last.
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
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The brain of one task, behind its socket. Requests are answered one at a time.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) task: Task,
    pub(super) db: Db,
    pub(super) tools: Vec<Tool>,
    speaker: Speaker,
    state: Mutex<State>,
    outcome: mpsc::UnboundedSender<Outcome>,
    /// The task is over, however it ended: an answer that is still being waited for is not worth its price.
    over: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: SessionSettings,
    pub(super) conversation: Conversation,
    /// Tokens of the last question.
    pub(super) context_used: u64,
    /// Tool calls of the last answer that wait for their results; the first one is with the agent.
    pub(super) calls: VecDeque<ToolCall>,
    pub(super) stuck: StuckWatch,
    pub(super) agents_files: AgentsFiles,
    /// How often the critic was asked.
    pub(super) critiques: u32,
    pub(super) checks: Checks,
    pub(super) told: Told,
    handed_out_at: Instant,
    last_seq: Option<u64>,
    pub(super) steps: u32,
    call_number: u32,
    pub(super) usage: Usage,
    ended: bool,
}

/// Bytes kept of one text in an event; the whole of it is in the conversation and the logs.
pub(super) const MAX_EVENT_TEXT: usize = 16 * 1024;
/// Bytes kept of what an agent says of its end.
const MAX_REASON: usize = 500;
/// Bytes of one tool result that reach the model. Our agent stays far below; another program might not.
const MAX_TOOL_TEXT: usize = 128 * 1024;

impl Session {
    /// A new conversation; its end comes over the returned channel. It works until `over`.
    pub(crate) fn new(
        task: Task,
        db: Db,
        mut settings: SessionSettings,
        over: CancellationToken,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Outcome>) {
        let (outcome, ended) = mpsc::unbounded_channel();
        let tools = offer::tools(task.mode, settings.edit_way);
        let texts = std::mem::take(&mut settings.agents_files);
        let agents_files = AgentsFiles::new(texts, settings.agents_files_max_bytes);
        let checks = settings.checks.as_ref().map(|checks| checks.commands.clone()).unwrap_or_default();
        let checks = Checks::new(checks);
        let state = State {
            settings,
            conversation: Conversation::default(),
            context_used: 0,
            calls: VecDeque::new(),
            stuck: StuckWatch::default(),
            agents_files,
            critiques: 0,
            checks,
            told: Told::default(),
            handed_out_at: Instant::now(),
            last_seq: None,
            steps: 0,
            call_number: 0,
            usage: Usage::default(),
            ended: false,
        };
        let speaker = Speaker::new(db.clone(), task.id.clone());
        (Arc::new(Self { task, db, tools, speaker, state: Mutex::new(state), outcome, over }), ended)
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
        self.state.try_lock().ok().map(|state| state.handed_out_at.elapsed())
    }

    /// Answers one request. The work goes on when the caller goes away: its answer is stored, and a repetition of the
    /// request gets it without a second call of the model. Only the end of the task breaks it off.
    pub(crate) async fn step(self: Arc<Self>, request: StepRequest, secret: SpeakerHash) -> Result<Value, StepError> {
        let over = self.over.clone();
        let work = over.run_until_cancelled_owned(async move { self.answer(request, secret).await });
        match tokio::spawn(work).await {
            Ok(Some(answer)) => answer,
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
        let mut state = self.state.lock().await;
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
        let reply = match request.payload {
            Payload::Start { .. } => self.start(&mut state, request.seq).await?,
            Payload::ToolResult { name, result, .. } => {
                self.tool_result(&mut state, request.seq, &name, &result).await?
            }
            Payload::AgentAbort { reason } => {
                let failure = aborted(&reason);
                self.end(&mut state, Outcome::Failed(failure), request.seq, Record::default()).await?
            }
        };
        state.last_seq = request.seq.or(state.last_seq);
        Ok(reply)
    }

    async fn start(&self, state: &mut State, seq: Option<u64>) -> Result<Value, StepError> {
        // An agent that starts again gets the call it has not answered yet.
        if let Some(call) = state.calls.front().cloned() {
            return self.hand_out(state, &call, seq, Record::default()).await;
        }
        let conventions = state.agents_files.of_root();
        let (messages, events) =
            (prompt::opening(&self.task, &conventions.text, state.settings.checks.as_ref()), conventions.events);
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
                call: state.call_number,
                name: call.name,
                result: cut_strings(result, MAX_EVENT_TEXT),
                duration_ms: milliseconds(state.handed_out_at.elapsed()),
            }],
            ..Record::default()
        };
        record.events.extend(conventions.events);
        if let Some(happened) = result.get(OUT_OF_MEMORY).and_then(Value::as_str) {
            let happened = head_and_tail(happened, MAX_REASON);
            match state.settings.on_oom {
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
        state.call_number += 1;
        record.events.push(EventBody::ToolCalled {
            step: state.steps,
            call: state.call_number,
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
        let summary = match &outcome {
            Outcome::Finished { summary } => summary.clone(),
            Outcome::Failed(failure) => failure.message.clone(),
        };
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

    /// First the disk, then the memory.
    pub(super) async fn commit(&self, state: &mut State, record: Record) -> Result<(), StepError> {
        let messages = record.messages.clone();
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
