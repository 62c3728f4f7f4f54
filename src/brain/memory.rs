//! What a session knows, written with every step and read back by the next server.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    agents_files::AgentsFiles,
    checks::Checks,
    conversation::{Compacted, Conversation},
    last_word::Told,
    session::{Outcome, Session},
    stuck::StuckWatch,
    transcript::{Transcript, Written},
};
use crate::{
    db::{Db, DbError, Decided, Ending, Record},
    domain::{
        conversation::{Message, ToolCall},
        event::EventBody,
        task_id::TaskId,
        turn::FollowUp,
        usage::Usage,
    },
};

/// What is known of a conversation while it goes on.
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
    /// What people said after the first instruction, as far as the model read it.
    pub(super) told: Vec<String>,
    /// The model has yet to hear of the turn.
    pub(super) begins_turn: bool,
}

/// Small numbers that must survive a restart, stored with every step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    /// Tokens of the last question.
    pub(super) context_used: u64,
    /// How often the critic was asked.
    pub(super) critiques: u32,
    pub(super) told: Told,
    /// The fallback answers in place of the model.
    pub(super) fell_back: bool,
    /// Tool calls handed out.
    pub(super) calls: u32,
}

/// What the database keeps beside the conversation.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    counts: Counts,
    stuck: StuckWatch,
    checks: Option<Checks>,
    agents_files_shown: BTreeMap<String, usize>,
    compacted: Option<Compacted>,
    transcript: Written,
}

/// For the model, when its container was lost.
const LOST: &str = "The machine, or Docker on it, was restarted and the container is a new one. The files in /app/code are kept, though what \
was written in the last moments may be missing; programs that ran, and files elsewhere, are gone.";

impl Session {
    /// The state as the database has it.
    pub(super) async fn recall(&self) -> Result<State, DbError> {
        let recorded = self.db.recorded(&self.task.id).await?;
        let memory: Memory = recorded.memory.map(serde_json::from_value).transpose()?.unwrap_or_default();
        let mut agents_files =
            AgentsFiles::new(self.settings.agents_files.clone(), self.settings.agents_files_max_bytes);
        agents_files.recall(&memory.agents_files_shown);
        let commands = self.settings.checks.as_ref().map(|checks| checks.commands.clone()).unwrap_or_default();
        let conversation = Conversation::recall(recorded.messages, memory.compacted);
        let ended = recorded.decided.is_some();
        let (read, unread): (Vec<FollowUp>, Vec<FollowUp>) =
            self.db.follow_ups(&self.task.id).await?.into_iter().partition(|said| said.read_at_step.is_some());
        if let Some(Decided { ending, summary }) = recorded.decided {
            let outcome = match ending {
                Ending::Completed => Outcome::Finished { summary: summary.unwrap_or_default() },
                Ending::Failed(failure) => Outcome::Failed(failure),
                // Nobody here decides that.
                Ending::Cancelled => return Err(DbError::Ended),
            };
            let _ = self.outcome.send(outcome);
        }
        Ok(State {
            calls: conversation.open_calls().into(),
            conversation,
            stuck: memory.stuck,
            checks: memory.checks.unwrap_or_else(|| Checks::new(commands)),
            agents_files,
            transcript: Transcript::open(self.settings.logs.clone(), memory.transcript),
            counts: memory.counts,
            handed_out_at: Instant::now(),
            last_seq: recorded.last_seq,
            steps: recorded.steps,
            usage: recorded.usage,
            ended,
            told: read.into_iter().map(|said| said.text.into()).collect(),
            begins_turn: unread.iter().any(|said| said.begins_turn),
        })
    }
}

impl State {
    pub(super) fn memory(&self) -> Result<Value, DbError> {
        Ok(serde_json::to_value(Memory {
            counts: self.counts.clone(),
            stuck: self.stuck.clone(),
            checks: Some(self.checks.clone()),
            agents_files_shown: self.agents_files.shown(),
            compacted: self.conversation.compacted(),
            transcript: self.transcript.written(),
        })?)
    }
}

/// What to record when the container of a task is gone and another one takes its place. A call that was being made is
/// never made again: nobody knows how far it came.
pub(crate) async fn after_loss(db: &Db, id: &TaskId) -> Result<Record, DbError> {
    let recorded = db.recorded(id).await?;
    let memory: Memory = recorded.memory.map(serde_json::from_value).transpose()?.unwrap_or_default();
    let conversation = Conversation::recall(recorded.messages, memory.compacted);
    let mut record = Record::default();
    if conversation.all().is_empty() || recorded.last_seq.is_none() {
        return Ok(record);
    }
    match conversation.open_calls().into_iter().next() {
        Some(call) => {
            let message = format!("{LOST} Whether this call was made, and how far it came, is not known: look first.");
            let result = json!({ "status": "failure", "message": message });
            record.events.push(EventBody::ToolReturned {
                step: recorded.steps,
                call: memory.counts.calls,
                name: call.name.clone(),
                result: result.as_object().cloned().unwrap_or_default(),
                duration_ms: 0,
            });
            record.messages.push(Message::Tool { call_id: call.id, name: call.name, content: message });
        }
        None => record.messages.push(Message::User { text: LOST.to_owned() }),
    }
    Ok(record)
}
