//! Whose a task is, where tasks of several people are shown.

use std::collections::HashMap;

use super::{AppState, error::WebError};
use crate::domain::{
    person::{PersonId, Scope},
    task::Task,
};

/// Their names; none where nobody would wonder.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<PersonId, String>);

impl Owners {
    pub(super) async fn seen_by(state: &AppState, scope: Scope) -> Result<Self, WebError> {
        let names = match scope {
            Scope::All => state.db.names().await?,
            Scope::Of(_) => HashMap::new(),
        };
        Ok(if names.len() > 1 { Self(names) } else { Self::default() })
    }

    pub(super) fn of(&self, task: &Task) -> Option<String> {
        self.0.get(&task.owner).cloned()
    }
}
