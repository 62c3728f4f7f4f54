//! The model's turn: it is asked, its answer is stored, and then acted upon.

use std::time::Instant;

use serde_json::Value;
use tokio::sync::SetOnce;

use super::{
    compaction,
    critique::Review,
    memory::State,
    reply::MAX_EVENT_TEXT,
    request::StepError,
    session::{Outcome, Session},
    stuck::Stuck,
};
use crate::{
    db::Record,
    domain::{
        conversation::{Message, ToolCall},
        event::{EventBody, milliseconds},
        excerpt::{cut_value, head_and_tail},
    },
    llm::{Answer, Hold, Listener, LlmError, Model, Request, RetryPolicy, answer_with_retries},
};

/// For an answer without text and call, which is no end.
const SAY_SOMETHING: &str = "Your last answer was empty. Call a tool to go on; or, when the work is done, say in plain \
words what you did and found.";

impl Session {
    /// Asks the model until it calls a tool or ends. What led to a question is on disk before it is asked, an answer
    /// before it is acted upon.
    pub(super) async fn ask(
        &self,
        state: &mut State,
        seq: Option<u64>,
        mut before: Record,
    ) -> Result<Value, StepError> {
        loop {
            match state.stuck.judge() {
                Some(Stuck::GiveUp(failure)) => {
                    before.events.push(EventBody::Warning { message: failure.message.clone() });
                    return self.end(state, Outcome::Failed(failure), seq, before).await;
                }
                Some(Stuck::Warn { to_model, to_person }) => {
                    before.messages.push(Message::User { text: to_model });
                    before.events.push(EventBody::Warning { message: to_person });
                }
                None => {}
            }
            if let Some(failure) = self.limit_reached(state, before.usage).await? {
                return self.end(state, Outcome::Failed(failure), seq, before).await;
            }
            if compaction::is_full(state, self.asked(state).context_tokens) {
                self.commit(state, before).await?;
                self.compact(state).await?;
                before = Record::default();
                // The summary was paid for: a limit may be reached now.
                continue;
            }
            self.hear(state, &mut before).await?;
            let (text, record) = match self.question(state, before).await? {
                Ok(answer) => answer,
                Err(error) => {
                    // A try that failed may have cost something all the same.
                    let mut record = Record { usage: error.usage(), ..Record::default() };
                    if let Some(message) = self.fall_back(state, &error) {
                        state.usage = state.usage.plus(record.usage);
                        record.events.push(EventBody::Warning { message });
                        before = record;
                        continue;
                    }
                    return self.end(state, Outcome::Failed(error.failure()), seq, record).await;
                }
            };
            if let Some(call) = state.calls.front().cloned() {
                return self.hand_out(state, &call, seq, record).await;
            }
            if !text.trim().is_empty() {
                if self.is_called_back(state, &record).await? {
                    before = record;
                    continue;
                }
                match self.may_end(state, &text, record).await? {
                    Review::Finish(record) => {
                        return self.end(state, Outcome::Finished { summary: text }, seq, record).await;
                    }
                    Review::GoOn(record) => {
                        before = record;
                        continue;
                    }
                }
            }
            state.stuck.silent();
            before = record;
            before.messages.push(Message::User { text: SAY_SOMETHING.to_owned() });
        }
    }

    /// One question. Its answer comes as the text and what is to be stored of it; its calls are in the state already.
    async fn question(
        &self,
        state: &mut State,
        mut before: Record,
    ) -> Result<Result<(String, Record), LlmError>, StepError> {
        let step = state.steps + 1;
        before.events.push(EventBody::ModelAsked { step });
        let storing = self.storing(state, before)?;
        if let Err(error) = state.transcript.prompt(state.conversation.all()) {
            tracing::warn!(%error, "cannot write prompt.txt");
        }
        let asked_at = Instant::now();
        // The question is made ready while what led to it goes onto the disk.
        let stored = SetOnce::new();
        let ((), answer) = tokio::try_join!(
            async {
                storing.await?;
                let _ = stored.set(());
                Ok::<_, StepError>(())
            },
            async { Ok(self.model_answer(state, Hold::until(&stored)).await) },
        )?;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = state.transcript.response(step, &answer.raw) {
            tracing::warn!(%error, "cannot write llm_response.txt");
        }
        state.steps = step;
        state.usage = state.usage.plus(answer.usage);
        state.counts.context_used = answer.usage.input_tokens;
        let record = Record {
            messages: vec![Message::Assistant(answer.message.clone())],
            events: vec![EventBody::ModelReplied {
                step,
                text: head_and_tail(&answer.message.text, MAX_EVENT_TEXT).into_owned(),
                tool_calls: answer.message.tool_calls.iter().map(for_event).collect(),
                usage: answer.usage,
                duration_ms: milliseconds(asked_at.elapsed()),
            }],
            usage: answer.usage,
            steps: 1,
            ..Record::default()
        };
        state.calls = answer.message.tool_calls.into();
        Ok(Ok((answer.message.text, record)))
    }

    async fn model_answer(&self, state: &State, hold: Hold<'_>) -> Result<Answer, LlmError> {
        let settings = &self.settings;
        let request = Request {
            model_id: self.asked(state).name.id(),
            messages: &state.conversation.sent(),
            tools: &self.tools,
            max_output_tokens: settings.max_output_tokens,
            listener: Listener::default(),
            hold,
        };
        self.answered(self.asked(state).model, &request, &settings.retry).await
    }

    /// The answer of any model. Why it waits is shown as a note, each wait before another try as a warning.
    pub(super) async fn answered(
        &self,
        model: &dyn Model,
        request: &Request<'_>,
        retry: &RetryPolicy,
    ) -> Result<Answer, LlmError> {
        let hear = |message| self.db.append_event_later(&self.task.id, EventBody::Note { message });
        let request = Request { listener: Listener::new(&hear), ..*request };
        answer_with_retries(model, &request, retry, |tried, wait, error| {
            let message = format!("{error}. Asking again in {:.0} s (try {tried} failed).", wait.as_secs_f64());
            self.db.append_event_later(&self.task.id, EventBody::Warning { message });
        })
        .await
    }
}

fn for_event(call: &ToolCall) -> ToolCall {
    ToolCall { arguments: cut_value(&call.arguments, MAX_EVENT_TEXT), ..call.clone() }
}
