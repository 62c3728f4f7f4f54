//! What a run leaves in the output folder, written as it goes: `agent.log` for people, a JSONL transcript for training.

use std::cell::Cell;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::Serialize;
use serde_json::Value;

use crate::task::TaskId;
use crate::wire::Object;

/// Characters of arguments and messages that one line of the log shows.
const SHORT: usize = 200;

/// Bytes of another program's output that the log takes.
const MOST_OUTPUT: usize = 10 << 20;

/// The two files of a run. A write that fails (a full disk) is told once on stderr and ends nothing: the work counts
/// more than its log.
#[derive(Debug)]
pub(crate) struct RunRecord {
    log: File,
    transcript: File,
    failed: Cell<bool>,
    /// Bytes that came to `output`.
    output: Cell<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to {path}: {source}")]
pub(crate) struct RunRecordError {
    path: PathBuf,
    source: io::Error,
}

/// One line of the transcript.
#[derive(Serialize)]
struct Exchange<'a, T> {
    iteration: u64,
    agent_input: &'a T,
    mcp_reply: &'a Value,
}

impl RunRecord {
    /// Opens `agent.log` and `finetuning_data/<task_id>.jsonl` beneath `output` for appending, with the folders they need.
    pub(crate) fn open(output: &Path, task_id: &TaskId) -> Result<Self, RunRecordError> {
        let transcripts = output.join("finetuning_data");
        DirBuilder::new()
            .recursive(true)
            .mode(0o775)
            .create(&transcripts)
            .map_err(|source| RunRecordError { path: transcripts.clone(), source })?;
        Ok(Self {
            log: open(output.join("agent.log"))?,
            transcript: open(transcripts.join(format!("{task_id}.jsonl")))?,
            failed: Cell::new(false),
            output: Cell::new(0),
        })
    }

    /// Adds one request and its reply to the transcript.
    pub(crate) fn iteration<T: Serialize>(&self, iteration: u64, agent_input: &T, mcp_reply: &Value) {
        match serde_json::to_vec(&Exchange { iteration, agent_input, mcp_reply }) {
            Ok(mut line) => {
                line.push(b'\n');
                self.append(&self.transcript, &line);
            }
            Err(error) => self.note(&format!("the transcript misses iteration {iteration}: {error}")),
        }
    }

    /// Logs one tool call with its outcome.
    pub(crate) fn tool_call(&self, iteration: u64, name: &str, arguments: &Object, result: &Object, took: Duration) {
        let arguments = serde_json::to_string(arguments).unwrap_or_default();
        let outcome =
            match (result.get("status").and_then(Value::as_str), result.get("message").and_then(Value::as_str)) {
                (Some("success"), _) => match result.get("returncode") {
                    Some(code) => format!("success, returncode {code}"),
                    None => "success".to_owned(),
                },
                (_, message) => format!("failure: {}", message.unwrap_or("no message")),
            };
        self.note(&format!(
            "step {iteration}: {name} {} -> {} ({} ms)",
            short(&arguments),
            short(&outcome),
            took.as_millis()
        ));
    }

    /// Adds a timestamped line to `agent.log`.
    pub(crate) fn note(&self, text: &str) {
        // What a model or a server wrote must not be able to forge a second line.
        let text: String = text.chars().flat_map(escaped).collect();
        #[expect(clippy::disallowed_methods, reason = "for people to read")]
        let now = Timestamp::now();
        self.append(&self.log, format!("{now:.3} {text}\n").as_bytes());
    }

    /// Adds what another program wrote to `agent.log`, as it came, up to [`MOST_OUTPUT`] in all.
    pub(crate) fn output(&self, bytes: &[u8]) {
        let written = self.output.get();
        let taken = bytes.len().min(MOST_OUTPUT.saturating_sub(written));
        self.append(&self.log, &bytes[..taken]);
        self.output.set(written.saturating_add(bytes.len()));
        if taken < bytes.len() && written <= MOST_OUTPUT {
            self.note(&format!("more than {MOST_OUTPUT} bytes of output, the rest is left out"));
        }
    }

    fn append(&self, mut file: &File, line: &[u8]) {
        if let Err(error) = file.write_all(line)
            && !self.failed.replace(true)
        {
            // stderr is the last place to say it.
            let _ = writeln!(io::stderr(), "atelier agent: the log or the transcript is incomplete: {error}");
        }
    }
}

/// What setup left in the place of the file, a link or a FIFO, must neither be followed nor block.
fn open(path: PathBuf) -> Result<File, RunRecordError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().append(true).create(true).mode(0o664).custom_flags(flags).open(&path);
    let checked = opened.and_then(|file| {
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
    });
    checked.map_err(|source| RunRecordError { path, source })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let (plain, control) =
        if character.is_control() { (None, Some(character.escape_default())) } else { (Some(character), None) };
    plain.into_iter().chain(control.into_iter().flatten())
}
