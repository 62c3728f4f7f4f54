//! What the agent is told next: on disk before it is sent.

use std::time::Instant;

use atelier_agent::wire::Reply;
use serde_json::Value;

use super::{
    memory::State,
    request::StepError,
    session::{Outcome, Session},
};
use crate::{
    db::{Decided, Ending, Record, StoredReply},
    domain::{conversation::ToolCall, event::EventBody, excerpt::cut_value},
};

/// Bytes kept of one text in an event; the whole of it is in the conversation and the logs.
pub(super) const MAX_EVENT_TEXT: usize = 16 * 1024;

impl Session {
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
    pub(super) async fn commit(&self, state: &mut State, record: Record) -> Result<(), StepError> {
        self.storing(state, record)?.await
    }

    /// The same, begun here and ended by waiting for it. The state is ahead of the disk meanwhile, and is read anew when it
    /// fails.
    pub(super) fn storing(
        &self,
        state: &mut State,
        mut record: Record,
    ) -> Result<impl Future<Output = Result<(), StepError>> + use<'_>, StepError> {
        let messages = record.messages.clone();
        record.memory = Some(state.memory()?);
        state.conversation.extend(messages);
        Ok(async { Ok(self.db.record(&self.task.id, record).await?) })
    }
}

fn wire(reply: &Reply) -> Value {
    serde_json::to_value(reply).unwrap_or_default()
}
