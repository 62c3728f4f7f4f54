//! `prompt.txt` and `llm_response.txt`: what was said to the model and what came back, for people to read.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use crate::{domain::conversation::Message, redact::MaskedWriter};

/// The two files of one task; they only grow. What is written goes to the page cache, a few kilobytes a step, so it is
/// not worth a thread of its own.
#[derive(Debug)]
pub(crate) struct Transcript {
    prompt: MaskedWriter<File>,
    responses: MaskedWriter<File>,
    /// Messages of the conversation that `prompt.txt` holds already.
    written: usize,
}

impl Transcript {
    /// Begins both files anew in the log folder of the task.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            prompt: MaskedWriter(File::create(folder.join("prompt.txt"))?),
            responses: MaskedWriter(File::create(folder.join("llm_response.txt"))?),
            written: 0,
        })
    }

    /// Adds the messages that were not there at the last call.
    pub(super) fn prompt(&mut self, messages: &[Message]) -> io::Result<()> {
        let text: String = messages.iter().skip(self.written).map(|message| shown(message, "")).collect();
        self.written = messages.len();
        self.prompt.write_all(text.as_bytes())
    }

    /// A question beside the conversation and its answer, both under `title`.
    pub(super) fn aside(&mut self, title: &str, messages: &[Message], raw: &str) {
        let prompt: String = messages.iter().map(|message| shown(message, &format!("{title}: "))).collect();
        let response = format!("===== {title} =====\n{}\n\n", raw.trim_end());
        let written = self.prompt.write_all(prompt.as_bytes()).and(self.responses.write_all(response.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "cannot write {title} into the transcript");
        }
    }

    pub(super) fn response(&mut self, step: u32, raw: &str) -> io::Result<()> {
        let text = format!("===== step {step} =====\n{}\n\n", raw.trim_end());
        self.responses.write_all(text.as_bytes())
    }
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
