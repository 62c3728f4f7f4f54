//! `prompt.txt` and `llm_response.txt`: what was said to the model and what came back, for people to read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{domain::conversation::Message, redact};

/// The two files of one task; they only grow. What is written goes to the page cache, a few kilobytes a step, so it is
/// not worth a thread of its own. The conversation is in the database: a file that cannot be written ends nothing.
#[derive(Debug)]
pub(super) struct Transcript {
    folder: PathBuf,
    written: Written,
}

/// How far `prompt.txt` is: messages of the conversation, and bytes with what was asked beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    messages: usize,
    bytes: u64,
}

const PROMPT: &str = "prompt.txt";
const RESPONSES: &str = "llm_response.txt";

impl Transcript {
    /// Goes on with both files in the log folder of the task. What `prompt.txt` holds of a question that was left open
    /// goes, since the question comes again.
    pub(super) fn open(folder: PathBuf, written: Written) -> Self {
        if let Ok(file) = OpenOptions::new().write(true).open(folder.join(PROMPT))
            && let Err(error) = cut(&file, written.bytes)
        {
            tracing::warn!(%error, "cannot cut {PROMPT}");
        }
        Self { folder, written }
    }

    pub(super) fn written(&self) -> Written {
        self.written.clone()
    }

    /// Adds the messages that were not there at the last call.
    pub(super) fn prompt(&mut self, messages: &[Message]) -> io::Result<()> {
        let text: String = messages.iter().skip(self.written.messages).map(|message| shown(message, "")).collect();
        self.written.bytes = self.append(PROMPT, &text)?;
        self.written.messages = messages.len();
        Ok(())
    }

    /// A question beside the conversation and its answer, both under `title`.
    pub(super) fn aside(&mut self, title: &str, messages: &[Message], raw: &str) {
        let prompt: String = messages.iter().map(|message| shown(message, &format!("{title}: "))).collect();
        let response = format!("===== {title} =====\n{}\n\n", raw.trim_end());
        let written = self.append(PROMPT, &prompt);
        if let Ok(bytes) = written {
            self.written.bytes = bytes;
        }
        if let Err(error) = written.and(self.append(RESPONSES, &response)) {
            tracing::warn!(%error, "cannot write {title} into the transcript");
        }
    }

    pub(super) fn response(&mut self, step: u32, raw: &str) -> io::Result<()> {
        let text = format!("===== step {step} =====\n{}\n\n", raw.trim_end());
        self.append(RESPONSES, &text).map(drop)
    }

    /// Returns the length of the file.
    fn append(&self, name: &str, text: &str) -> io::Result<u64> {
        let mut file = OpenOptions::new().append(true).create(true).open(self.folder.join(name))?;
        file.write_all(redact::mask(text).as_bytes())?;
        Ok(file.metadata()?.len())
    }
}

fn cut(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() > bytes { file.set_len(bytes) } else { Ok(()) }
}

fn shown(message: &Message, title: &str) -> String {
    let (role, body) = match message {
        Message::System { text } => ("system".to_owned(), text.clone()),
        Message::User { text } => ("user".to_owned(), text.clone()),
        Message::Tool { name, content, .. } => (format!("tool {name}"), content.clone()),
        Message::Assistant(said) => {
            let calls = said.tool_calls.iter().map(|call| format!("\n[calls {} {}]", call.name, call.arguments));
            ("assistant".to_owned(), format!("{}{}", said.text, calls.collect::<String>()))
        }
    };
    format!("===== {title}{role} =====\n{}\n\n", body.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_restart_every_message_stands_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let told = |text: &str| Message::User { text: text.to_owned() };
        let mut messages = vec![told("one")];
        let mut transcript = Transcript::open(folder.path().to_owned(), Written::default());
        transcript.prompt(&messages).unwrap();
        transcript.aside("summary", &[told("beside")], "raw");
        let stored = transcript.written();
        messages.push(told("two"));
        transcript.prompt(&messages).unwrap();

        let mut again = Transcript::open(folder.path().to_owned(), stored);
        messages.push(told("three"));
        again.prompt(&messages).unwrap();

        let text = std::fs::read_to_string(folder.path().join(PROMPT)).unwrap();
        for word in ["one", "beside", "two", "three"] {
            assert_eq!(text.matches(word).count(), 1, "{word}: {text}");
        }
    }
}
