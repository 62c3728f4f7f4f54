//! The conversation as it is kept, and the part of it that is sent when the whole would not fit any more.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::compaction;
use crate::domain::conversation::{Message, ToolCall};

/// Append-only, as in the database; compacting changes only what is sent.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    compacted: Option<Compacted>,
}

/// What comes next, as the messages themselves say.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    /// Nothing was said yet.
    Opening,
    /// The model called tools and waits for their results.
    Results,
    /// The model is to be asked.
    Question,
    /// The model would end with this explanation.
    Review(String),
}

/// What stands for the older part: its summary, and where the messages begin that are still sent as they are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Compacted {
    summary_at: usize,
    kept_from: usize,
}

/// The older part, before there is a summary of it.
#[derive(Debug)]
pub(super) struct Older<'a> {
    /// The last summary, if there was one, and what came after it.
    pub(super) messages: Vec<&'a Message>,
    /// Where the messages begin that are kept.
    pub(super) kept_from: usize,
    /// How many these are.
    pub(super) kept_messages: usize,
}

/// System and instruction: what the task is stays word for word.
const HEAD: usize = 2;
/// A fifth of what is sent is kept as it is.
const KEPT: usize = 5;

impl Conversation {
    /// As the database has it.
    pub(super) fn recall(messages: Vec<Message>, compacted: Option<Compacted>) -> Self {
        Self { messages, compacted }
    }

    pub(super) fn compacted(&self) -> Option<Compacted> {
        self.compacted
    }

    pub(super) fn due(&self) -> Due {
        match self.messages.last() {
            None => Due::Opening,
            Some(Message::Assistant(said)) if said.tool_calls.is_empty() => Due::Review(said.text.clone()),
            Some(_) if self.open_calls().is_empty() => Due::Question,
            Some(_) => Due::Results,
        }
    }

    /// The calls of the last answer that have no result yet.
    pub(super) fn open_calls(&self) -> Vec<ToolCall> {
        let results = self.messages.iter().rev().take_while(|message| matches!(message, Message::Tool { .. })).count();
        match self.messages.iter().rev().nth(results) {
            Some(Message::Assistant(said)) => said.tool_calls.iter().skip(results).cloned().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn extend(&mut self, messages: Vec<Message>) {
        self.messages.extend(messages);
    }

    pub(super) fn all(&self) -> &[Message] {
        &self.messages
    }

    /// What the model reads.
    pub(super) fn sent(&self) -> Cow<'_, [Message]> {
        match self.compacted {
            None => Cow::Borrowed(&self.messages),
            Some(compacted) => {
                let kept = (compacted.kept_from..self.messages.len()).filter(|at| *at != compacted.summary_at);
                let sent = (0..HEAD).chain([compacted.summary_at]).chain(kept);
                Cow::Owned(sent.filter_map(|at| self.messages.get(at)).cloned().collect())
            }
        }
    }

    /// What a summary is to take the place of; none when the recent messages are all there is.
    pub(super) fn older(&self) -> Option<Older<'_>> {
        let first = self.compacted.map_or(HEAD, |compacted| compacted.kept_from);
        let room = self.sent().iter().map(size).sum::<usize>() / KEPT;
        let (mut kept_from, mut kept) = (self.messages.len(), 0);
        while kept_from > first && kept + size(&self.messages[kept_from - 1]) <= room {
            kept_from -= 1;
            kept += size(&self.messages[kept_from]);
        }
        // The last message is always kept, and results stay with the answer that called for them.
        kept_from = kept_from.min(self.messages.len().saturating_sub(1));
        while kept_from > first && matches!(self.messages[kept_from], Message::Tool { .. }) {
            kept_from -= 1;
        }
        let is_summary = |at: usize| self.compacted.is_some_and(|compacted| compacted.summary_at == at);
        let between = (first..kept_from).filter(|at| !is_summary(*at)).map(|at| &self.messages[at]);
        let between: Vec<&Message> = between.collect();
        if between.is_empty() {
            return None;
        }
        Some(Older {
            messages: self.summary().into_iter().chain(between).collect(),
            kept_from,
            kept_messages: self.messages.len() - kept_from,
        })
    }

    /// Sends the summary, the message that comes next, in the place of everything between head and `kept_from`.
    pub(super) fn compact(&mut self, kept_from: usize) {
        self.compacted = Some(Compacted { summary_at: self.messages.len(), kept_from });
    }

    fn summary(&self) -> Option<&Message> {
        self.compacted.and_then(|compacted| self.messages.get(compacted.summary_at))
    }
}

/// A stored conversation as the model read it at the end: the last summary, if there is one, stands for what it sums up.
/// `kept_at_last_summary` is the number of messages before it that were still sent.
pub(crate) fn as_last_seen(messages: Vec<Message>, kept_at_last_summary: Option<u64>) -> Vec<Message> {
    let summary_at = messages.iter().rposition(compaction::is_summary).filter(|at| *at >= HEAD);
    let compacted = kept_at_last_summary.zip(summary_at).map(|(kept, summary_at)| {
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        Compacted { summary_at, kept_from: summary_at.saturating_sub(kept).max(HEAD) }
    });
    Conversation { messages, compacted }.sent().into_owned()
}

/// Bytes, as a measure for tokens.
fn size(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text } => text.len(),
        Message::Tool { content, .. } => content.len(),
        Message::Assistant(said) => {
            let replay = said.replay.as_ref().map_or(0, |replay| replay.to_string().len());
            said.text.len()
                + replay
                + said.tool_calls.iter().map(|call| call.arguments.to_string().len()).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::conversation::{AssistantMessage, ToolCall};

    fn user(text: &str) -> Message {
        Message::User { text: text.to_owned() }
    }

    /// An answer with two calls, and their results of `bytes` each.
    fn step(number: usize, bytes: usize) -> Vec<Message> {
        let id = |index| format!("{number}-{index}");
        let call = |index| ToolCall { id: id(index), name: "t".to_owned(), arguments: json!({}) };
        let said = AssistantMessage { tool_calls: vec![call(0), call(1)], ..AssistantMessage::default() };
        let result = |index| Message::Tool { call_id: id(index), name: "t".to_owned(), content: "x".repeat(bytes) };
        vec![Message::Assistant(said), result(0), result(1)]
    }

    fn of_steps(count: usize) -> Conversation {
        let mut conversation = Conversation::default();
        conversation.extend(vec![Message::System { text: "system".to_owned() }, user("instruction")]);
        for number in 0..count {
            conversation.extend(step(number, 100));
        }
        conversation
    }

    fn compact(conversation: &mut Conversation, summary: &str) {
        let kept_from = conversation.older().unwrap().kept_from;
        conversation.compact(kept_from);
        conversation.extend(vec![user(summary)]);
    }

    /// Every result has its call before it, and every call its result.
    fn is_whole(messages: &[Message]) -> bool {
        let mut open = Vec::new();
        for message in messages {
            match message {
                Message::Assistant(said) => open.extend(said.tool_calls.iter().map(|call| call.id.clone())),
                Message::Tool { call_id, .. } if open.first() == Some(call_id) => drop(open.remove(0)),
                Message::Tool { .. } => return false,
                _ => {}
            }
        }
        open.is_empty()
    }

    #[test]
    fn head_and_recent_messages_stay_and_calls_keep_their_results() {
        let mut conversation = of_steps(10);
        assert_eq!(conversation.sent().len(), 32);
        compact(&mut conversation, "first summary");
        let sent = conversation.sent();
        assert_eq!(sent[1..3], [user("instruction"), user("first summary")]);
        assert!(is_whole(&sent) && (3..=9).contains(&(sent.len() - 3)), "{}", sent.len());
        assert_eq!(conversation.all().len(), 33);
    }

    #[test]
    fn a_second_time_takes_in_the_first_summary() {
        let mut conversation = of_steps(10);
        compact(&mut conversation, "first summary");
        for number in 10..20 {
            conversation.extend(step(number, 100));
        }
        assert_eq!(conversation.older().unwrap().messages[0], &user("first summary"));
        compact(&mut conversation, "second summary");
        let sent = conversation.sent();
        assert_eq!(sent[2], user("second summary"));
        assert!(is_whole(&sent) && !sent.contains(&user("first summary")), "{sent:?}");
        assert!(sent.ends_with(&step(19, 100)));
    }

    #[test]
    fn what_was_last_seen_can_be_told_from_what_is_stored() {
        let mut conversation = of_steps(10);
        let mut kept = None;
        for _ in 0..2 {
            kept = Some(conversation.older().unwrap().kept_messages as u64);
            compact(&mut conversation, &compaction::in_place_of_older("notes"));
            for number in 10..14 {
                conversation.extend(step(number, 100));
            }
        }
        let stored = conversation.all().to_vec();
        assert_eq!(as_last_seen(stored.clone(), kept), conversation.sent().into_owned());
        assert!(conversation.sent().len() < stored.len() - 2);
        assert_eq!(as_last_seen(of_steps(3).all().to_vec(), None), of_steps(3).all());
    }

    #[test]
    fn nothing_is_older_than_the_only_step() {
        assert!(of_steps(0).older().is_none());
        assert!(of_steps(1).older().is_none());
        assert!(of_steps(2).older().is_some());
    }

    #[test]
    fn what_is_due_follows_from_the_messages() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.due(), Due::Opening);
        conversation.extend(vec![Message::System { text: "system".to_owned() }, user("instruction")]);
        assert_eq!(conversation.due(), Due::Question);
        let call = |id: &str| ToolCall { id: id.to_owned(), name: "ls".to_owned(), arguments: json!({}) };
        let result =
            |id: &str| Message::Tool { call_id: id.to_owned(), name: "ls".to_owned(), content: "x".to_owned() };
        let two = AssistantMessage { tool_calls: vec![call("1"), call("2")], ..AssistantMessage::default() };
        conversation.extend(vec![Message::Assistant(two)]);
        assert_eq!((conversation.due(), conversation.open_calls().len()), (Due::Results, 2));
        conversation.extend(vec![result("1")]);
        assert_eq!((conversation.due(), conversation.open_calls()), (Due::Results, vec![call("2")]));
        conversation.extend(vec![result("2")]);
        assert_eq!(conversation.due(), Due::Question);
        let done = AssistantMessage { text: "Done.".to_owned(), ..AssistantMessage::default() };
        conversation.extend(vec![Message::Assistant(done)]);
        assert_eq!(conversation.due(), Due::Review("Done.".to_owned()));
        conversation.extend(vec![user("A reviewer asks for more.")]);
        assert_eq!(conversation.due(), Due::Question);
    }
}
