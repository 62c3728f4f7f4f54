//! What training data is made of, beside the task itself.

use rusqlite::params;
use serde_json::Value;

use super::{Db, DbError};
use crate::{domain::task_id::TaskId, redact};

impl Db {
    /// Keeps the tools that the model of a task is offered.
    pub(crate) async fn keep_offered_tools(&self, id: &TaskId, tools: Value) -> Result<(), DbError> {
        let id = id.clone();
        self.write(move |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO offered_tools (task_id, tools) VALUES (?1, ?2)")?
                .execute(params![id.as_str(), redact::to_json(&tools)?])?;
            Ok(())
        })
        .await
    }
}
