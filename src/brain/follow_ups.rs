//! What a person tells the model after the first instruction: with the next question, and as the beginning of a turn.

use serde_json::{Value, json};

use super::{
    checks::Checks, last_word::Told, memory::State, reply::MAX_EVENT_TEXT, request::StepError, session::Session,
    stuck::StuckWatch,
};
use crate::{
    db::{Reading, Record},
    domain::{conversation::Message, event::EventBody, excerpt::head_and_tail, turn::FollowUp},
};

/// For a call of the turn before, which nobody will make any more.
const BROKEN_OFF: &str = "The work was broken off before this call came back. Whether it was made, and how far it came, is \
not known.";

impl Session {
    /// The first question of a further turn: the conversation goes on where it ended, however it did.
    pub(super) async fn begin_turn(&self, state: &mut State, seq: Option<u64>) -> Result<Value, StepError> {
        let mut record = Record::default();
        let mut is_first = true;
        for call in std::mem::take(&mut state.calls) {
            let result = json!({ "status": "failure", "message": BROKEN_OFF });
            // Of the calls of an answer only the first one went out.
            if std::mem::take(&mut is_first) {
                record.events.push(EventBody::ToolReturned {
                    step: state.steps,
                    call: state.counts.calls,
                    name: call.name.clone(),
                    result: result.as_object().cloned().unwrap_or_default(),
                    duration_ms: 0,
                });
            }
            record.messages.push(Message::Tool { call_id: call.id, name: call.name, content: BROKEN_OFF.to_owned() });
        }
        let commands = self.settings.checks.as_ref().map(|checks| checks.commands.clone()).unwrap_or_default();
        state.stuck = StuckWatch::default();
        state.checks = Checks::new(commands);
        state.counts.critiques = 0;
        state.counts.told = Told::default();
        state.counts.fell_back = false;
        self.ask(state, seq, record).await
    }

    /// Adds what the model has not read yet to what it is going to be asked.
    pub(super) async fn hear(&self, state: &mut State, before: &mut Record) -> Result<(), StepError> {
        let step = state.steps + 1;
        for follow_up in self.db.unread(&self.task.id).await? {
            before.read.push(Reading { number: follow_up.number, step });
            before.messages.push(Message::User { text: to_model(&follow_up) });
            if !follow_up.begins_turn {
                let text = head_and_tail(follow_up.text.as_str(), MAX_EVENT_TEXT).into_owned();
                before.events.push(EventBody::Told { number: follow_up.number, text });
            }
            state.told.push(follow_up.text.into());
        }
        state.begins_turn = false;
        Ok(())
    }

    /// Whether the model is to go on instead of ending, because somebody said something meanwhile.
    pub(super) async fn is_called_back(&self, state: &State, answered: &Record) -> Result<bool, StepError> {
        // At a limit it would fail with the work done: the next turn reads it then.
        Ok(!self.db.unread(&self.task.id).await?.is_empty()
            && self.limit_reached(state, answered.usage).await?.is_none())
    }

    /// The instruction with everything that was said later.
    pub(super) fn instructions(&self, state: &State) -> String {
        let first = self.task.instruction.as_str();
        let later = state.told.iter().map(|text| format!("\n\nLater they said:\n{text}"));
        [first.to_owned()].into_iter().chain(later).collect()
    }
}

fn to_model(follow_up: &FollowUp) -> String {
    let preface = if follow_up.begins_turn {
        include_str!("prompts/further_turn.md")
    } else {
        include_str!("prompts/while_it_runs.md")
    };
    format!("{preface}\n<instruction>\n{}\n</instruction>", follow_up.text.as_str())
}
