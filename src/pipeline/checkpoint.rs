//! What the stages leave for each other. It is stored at the end of each, so that a restarted server goes on with it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{live_patch::Looking, stages::fetch::Fetched};
use crate::git::Snapshot;

/// Everything known of a task's workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Checkpoint {
    pub(super) fetched: Option<Fetched>,
    /// S1; without setup it is S0. From here on the workspace holds work of the agent.
    pub(super) prepared: Option<Snapshot>,
    /// Of a further turn: the source with the work of the turns before.
    pub(super) earlier: Option<Snapshot>,
    #[serde(skip)]
    pub(super) looking: Looking,
}

impl Checkpoint {
    /// An unreadable one, of another version, is as good as none.
    pub(super) fn read(stored: Option<Value>) -> Self {
        stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
