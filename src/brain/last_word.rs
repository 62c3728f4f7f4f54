//! What has to hold before the model's last word is taken. Whatever is missing is said to it once; then it is its own word.

use serde::{Deserialize, Serialize};

use super::{
    critique::Review,
    memory::State,
    references::{self, Objection},
    request::StepError,
    session::Session,
};
use crate::{
    db::Record,
    domain::{conversation::Message, event::EventBody},
};

/// What the model was told already.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    references: bool,
    checks: bool,
}

impl Session {
    /// The model would end with `explanation`; `answered` is what to store of that.
    pub(super) async fn may_end(
        &self,
        state: &mut State,
        explanation: &str,
        answered: Record,
    ) -> Result<Review, StepError> {
        // Whoever is sent back would fail at the limit, with the work done.
        if self.limit_reached(state, answered.usage).await?.is_none() {
            if let Some(objection) = self.to_references(state, explanation).await {
                return Ok(sent_back(answered, objection));
            }
            if let Some(objection) = self.to_checks(state).await {
                return Ok(sent_back(answered, objection));
            }
        }
        self.review(state, explanation, answered).await
    }

    async fn to_references(&self, state: &mut State, explanation: &str) -> Option<Objection> {
        if state.counts.told.references {
            return None;
        }
        let check = self.settings.reference_check.clone()?;
        match (check.0)(explanation.to_owned()).await {
            Ok(checked) => {
                let objection = references::objection(&checked)?;
                state.counts.told.references = true;
                Some(objection)
            }
            Err(error) => {
                tracing::warn!(error, "references are not checked");
                None
            }
        }
    }

    /// Where nothing changed there is nothing to check.
    async fn to_checks(&self, state: &mut State) -> Option<Objection> {
        let current_patch = self.settings.checks.as_ref().filter(|_| !state.counts.told.checks)?.current_patch.clone();
        let objection = state.checks.objection()?;
        match current_patch().await {
            Ok(patch) if patch.trim().is_empty() => return None,
            Ok(_) => {}
            Err(error) => tracing::warn!(error, "whether anything changed is not known"),
        }
        state.counts.told.checks = true;
        Some(objection)
    }
}

fn sent_back(mut answered: Record, Objection { to_person, to_model }: Objection) -> Review {
    answered.events.push(EventBody::SentBack { message: to_person });
    answered.messages.push(Message::User { text: to_model });
    Review::GoOn(answered)
}
