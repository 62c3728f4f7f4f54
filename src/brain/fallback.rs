//! Another model goes on with the conversation when the first is out of reach.

use std::sync::Arc;

use super::{memory::State, session::Session};
use crate::{
    domain::model_name::ModelName,
    llm::{LlmError, Model},
};

/// The model that goes on, and what it can read at once.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) name: ModelName,
    pub(crate) context_tokens: u64,
}

/// The model that is asked now.
pub(super) struct Asked<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) name: &'a ModelName,
    pub(super) context_tokens: u64,
}

impl Session {
    pub(super) fn asked(&self, state: &State) -> Asked<'_> {
        match &self.settings.fallback {
            Some(Fallback { model, name, context_tokens }) if state.counts.fell_back => {
                Asked { model: model.as_ref(), name, context_tokens: *context_tokens }
            }
            _ => Asked {
                model: self.settings.model.as_ref(),
                name: &self.task.model,
                context_tokens: self.settings.context_tokens,
            },
        }
    }

    /// From now on the fallback is asked, if there is one and it can help; says so for people. A provider that answered and
    /// said no would have a reason: that is for a person to decide.
    pub(super) fn fall_back(&self, state: &mut State, error: &LlmError) -> Option<String> {
        let fallback = self.settings.fallback.as_ref()?;
        if !matches!(error, LlmError::Unavailable { .. }) || state.counts.fell_back {
            return None;
        }
        state.counts.fell_back = true;
        Some(format!("{error}. {} goes on in place of {}.", fallback.name, self.task.model))
    }
}
