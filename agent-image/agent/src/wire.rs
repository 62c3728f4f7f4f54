//! The step protocol: what the agent and the brain say to each other over `POST {MCP_SERVER_URL}/step`.
//!
//! The protocol is open at both ends: another agent may use our `/step`, ours may use another server's. So the
//! types here accept what they do not know (unknown fields, tools and modes) and leave the judging to the reader.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Arguments of a tool call or the result of one: a JSON object.
pub type Object = Map<String, Value>;

/// The header with what only the agent knows. A server may hear nobody else after the first request that had it; one that
/// does not know it can ignore it, and a client may leave it out.
pub const SECRET_HEADER: &str = "step-secret";

/// In the result of a tool: the kernel ended something for want of memory while the tool ran, and the value says what.
pub const OUT_OF_MEMORY: &str = "out_of_memory";

/// The body of `POST /step`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRequest {
    pub task_id: String,
    /// Number of this request within the run, from 0. A repeated number gets the stored reply again, so a request
    /// cut off by a restart of the server is repeated safely. Clients that send none work too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    pub payload: Payload,
}

/// What the agent reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Payload {
    /// The first request of a run.
    Start { task: TaskFile },
    /// What came of the tool call in the last reply.
    ToolResult { name: String, arguments: Object, result: Object },
    /// The agent gives up; `reason` is `max_iterations` at the limit.
    AgentAbort { reason: String },
}

/// What the brain answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Reply {
    ToolCall {
        name: String,
        #[serde(default)]
        arguments: Object,
    },
    Finish {
        #[serde(default)]
        summary: String,
    },
}

/// The task as the container sees it: `/app/task.json`, and `task` in the `start` request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFile {
    pub task_id: String,
    pub instruction: String,
    #[serde(default = "modify")]
    pub mode: String,
    /// Whatever else the sender put there travels on unchanged.
    #[serde(flatten)]
    pub more: Object,
}

fn modify() -> String {
    "modify".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// `dev/fuzz` runs this for as long as it is told to, each run of the tests for a moment.
    #[test]
    fn any_bytes_are_a_message_that_says_the_same_again_or_none() {
        bolero::check!(name = "step_message").with_test_time(Duration::from_secs(1)).for_each(|bytes: &[u8]| {
            if let Ok(request) = serde_json::from_slice::<StepRequest>(bytes) {
                let again = serde_json::to_vec(&request).unwrap();
                assert_eq!(serde_json::from_slice::<StepRequest>(&again).unwrap(), request);
            }
            if let Ok(reply) = serde_json::from_slice::<Reply>(bytes) {
                let again = serde_json::to_vec(&reply).unwrap();
                assert_eq!(serde_json::from_slice::<Reply>(&again).unwrap(), reply);
            }
        });
    }
}
