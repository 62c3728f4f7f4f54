//! When the model's context fills up, a summary by the model itself takes the place of the older messages.
//!
//! The database keeps every message; only what is sent gets shorter.

use super::{memory::State, request::StepError, session::Session};
use crate::{
    db::Record,
    domain::{conversation::Message, event::EventBody, excerpt::head_and_tail},
    llm::{Hold, Listener, Request},
};

/// Room for the next answer and its results.
const FULL_PERCENT: u64 = 75;
/// Of one message in the record that is summed up: its beginning and end say what it was.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
const MAX_SUMMARY_BYTES: usize = 16 * 1024;
/// What the server told it, such as comments of a critic and earlier notes, is passed on whole.
const MAX_TOLD_BYTES: usize = 2 * MAX_SUMMARY_BYTES;
/// How a summary begins.
const NOTICE: &str = "The conversation got too long: its older part is left out here.";
/// When the model cannot be asked: the files say where the work stands.
const NO_SUMMARY: &str = "There are no notes. Look at the files to see how far the work is before you go on.";

impl Session {
    /// Shortens what is sent; every call in it must have its result by now.
    pub(super) async fn compact(&self, state: &mut State) -> Result<(), StepError> {
        // Known again with the next answer.
        let before_tokens = std::mem::take(&mut state.counts.context_used);
        let Some(older) = state.conversation.older() else { return Ok(()) };
        let (kept_from, kept_messages) = (older.kept_from, older.kept_messages);
        let messages = [
            Message::System { text: include_str!("prompts/summary.md").to_owned() },
            Message::User { text: record_of(&self.instructions(state), &older.messages) },
        ];
        let request = Request {
            model_id: self.asked(state).name.id(),
            messages: &messages,
            tools: &[],
            max_output_tokens: self.settings.max_output_tokens,
            listener: Listener::default(),
            hold: Hold::default(),
        };
        let answer = self.answered(self.asked(state).model, &request, &self.settings.retry).await;
        let raw = answer.as_ref().map_or("", |answer| answer.raw.as_str());
        state.transcript.aside("summary", &messages, raw);
        let mut record = Record::default();
        let summary = match answer {
            Ok(answer) if !answer.message.text.trim().is_empty() => {
                record.usage = answer.usage;
                answer.message.text
            }
            Ok(answer) => {
                record.usage = answer.usage;
                record.events.push(no_summary("the model answered with nothing"));
                NO_SUMMARY.to_owned()
            }
            Err(error) => {
                record.usage = error.usage();
                record.events.push(no_summary(&error.to_string()));
                NO_SUMMARY.to_owned()
            }
        };
        let notes = in_place_of_older(&summary);
        // What holds now stays word for word, as the first instruction does.
        let text = match state.told.last() {
            Some(latest) => format!("{notes}\n\nThe latest instruction was:\n<instruction>\n{latest}\n</instruction>"),
            None => notes,
        };
        record.messages.push(Message::User { text });
        record.events.push(EventBody::Compacted { before_tokens, kept_messages: kept_messages as u64 });
        state.usage = state.usage.plus(record.usage);
        // The summary is the next message; from then on it stands for what it sums up.
        state.conversation.compact(kept_from);
        state.agents_files.forgotten();
        self.commit(state, record).await
    }
}

/// Whether the last question came close to what the model can read.
pub(super) fn is_full(state: &State, context_tokens: u64) -> bool {
    state.counts.context_used.saturating_mul(100) > context_tokens.saturating_mul(FULL_PERCENT)
}

/// Whether the message stands for older ones.
pub(super) fn is_summary(message: &Message) -> bool {
    matches!(message, Message::User { text } if text.starts_with(NOTICE))
}

/// The older messages as one text: providers refuse calls and results in a question without tools.
fn record_of(instruction: &str, older: &[&Message]) -> String {
    let mut record = format!("<instruction>\n{instruction}\n</instruction>\n\n<record note=\"untrusted material\">\n");
    for message in older {
        let (who, text, most) = match message {
            Message::System { text } | Message::User { text } => ("told".to_owned(), text.clone(), MAX_TOLD_BYTES),
            Message::Tool { name, content, .. } => (format!("result of {name}"), content.clone(), MAX_MESSAGE_BYTES),
            Message::Assistant(said) => {
                let calls = said.tool_calls.iter().map(|call| {
                    let arguments = call.arguments.to_string();
                    format!("\ncalls {} {}", call.name, head_and_tail(&arguments, MAX_MESSAGE_BYTES / 2))
                });
                ("engineer".to_owned(), format!("{}{}", said.text, calls.collect::<String>()), MAX_MESSAGE_BYTES)
            }
        };
        let text = head_and_tail(text.trim(), most).replace("</record", "<\\/record");
        record.extend(["[", &who, "]\n", &text, "\n\n"]);
    }
    record.push_str("</record>");
    record
}

pub(super) fn in_place_of_older(summary: &str) -> String {
    format!(
        "{NOTICE} These are your own notes of it; the files are as you left them. Go on from there.\n\n\
         <notes>\n{}\n</notes>",
        head_and_tail(summary.trim(), MAX_SUMMARY_BYTES)
    )
}

fn no_summary(reason: &str) -> EventBody {
    let message = format!("The older part of the conversation was left out without a summary: {reason}");
    EventBody::Warning { message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::conversation::{AssistantMessage, ToolCall};

    #[test]
    fn the_record_is_short_and_says_who_said_what() {
        let call = ToolCall { id: "1".to_owned(), name: "run_command".to_owned(), arguments: json!({"command": "ls"}) };
        let said =
            AssistantMessage { text: "I look.".to_owned(), tool_calls: vec![call], ..AssistantMessage::default() };
        let content = format!("{}</record>", "x".repeat(100_000));
        let result = Message::Tool { call_id: "1".to_owned(), name: "run_command".to_owned(), content };
        let record = record_of("Mend it.", &[&Message::Assistant(said), &result]);
        assert!(record.contains("Mend it.") && record.contains("[engineer]\nI look.\ncalls run_command"), "{record}");
        assert!(record.contains("[result of run_command]\nxxx") && record.len() < 6000, "{}", record.len());
        assert_eq!(record.matches("</record>").count(), 1);
    }
}
