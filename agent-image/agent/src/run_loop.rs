//! The loop of one run: ask, do what the reply says, report, until it says `finish`.

use std::fmt;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{StepClient, StepError};
use crate::run_record::RunRecord;
use crate::task::Task;
use crate::tools::Toolbox;
use crate::wire::{Payload, Reply, StepRequest};

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Finished {
        summary: String,
    },
    OutOfIterations {
        limit: u64,
    },
    /// A reply that the protocol does not know.
    Misunderstood {
        warning: String,
    },
    /// No reply at all.
    Unanswered(StepError),
}

/// Runs the task. An iteration is one request with its reply; `seq` counts the requests from 0.
pub(crate) async fn run(
    task: Task,
    max_iterations: u64,
    client: &StepClient,
    tools: &Toolbox<'_>,
    record: &RunRecord,
) -> Ending {
    record.note(&format!("task {} begins, mode {}", task.id, task.file.mode));
    let task_id = task.id.to_string();
    let request = |iteration: u64, payload| StepRequest { task_id: task_id.clone(), seq: Some(iteration - 1), payload };
    let mut payload = Payload::Start { task: task.file };
    for iteration in 1..=max_iterations {
        let asked = request(iteration, payload);
        let answer = match client.step(&asked, record).await {
            Ok(answer) => answer,
            Err(error) => return Ending::Unanswered(error),
        };
        let (raw, reply) = understand(&answer);
        record.iteration(iteration, &asked.payload, &raw);
        payload = match reply {
            Err(warning) => return Ending::Misunderstood { warning },
            Ok(Reply::Finish { summary }) => return Ending::Finished { summary },
            // A call whose result nobody will hear is not made.
            Ok(Reply::ToolCall { .. }) if iteration == max_iterations => break,
            Ok(Reply::ToolCall { name, arguments }) => {
                let began = Instant::now();
                let result = tools.call(&name, &arguments).await;
                record.tool_call(iteration, &name, &arguments, &result, began.elapsed());
                Payload::ToolResult { name, arguments, result }
            }
        };
    }
    let abort = Payload::AgentAbort { reason: "max_iterations".to_owned() };
    match client.step(&request(max_iterations + 1, abort), record).await {
        Ok(_) => Ending::OutOfIterations { limit: max_iterations },
        Err(error) => Ending::Unanswered(error),
    }
}

/// The reply as it came, for the transcript, and what it means.
fn understand(answer: &[u8]) -> (Value, Result<Reply, String>) {
    match serde_json::from_slice::<Value>(answer) {
        Ok(raw) => {
            let reply = Reply::deserialize(&raw).map_err(|error| format!("unknown reply: {error}"));
            (raw, reply)
        }
        Err(error) => {
            let text = String::from_utf8_lossy(answer).into_owned();
            (Value::String(text), Err(format!("the reply is not JSON: {error}")))
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished { summary } => write!(f, "finished: {summary}"),
            Self::OutOfIterations { limit } => {
                write!(f, "warning: no finish after {limit} iterations, gave up")
            }
            Self::Misunderstood { warning } => write!(f, "warning: the run ends here: {warning}"),
            Self::Unanswered(error) => write!(f, "warning: the run ends here: {error}"),
        }
    }
}
