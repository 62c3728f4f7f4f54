//! `POST /settings/try`: one question to a provider, to see whether it answers. It costs some tokens, so only a click asks it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Form, extract::State, response::Redirect};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use crate::{
    domain::{model_name::ModelName, usage::Usage},
    llm::LlmError,
    wall_clock,
    web::{AppState, error::WebError, viewer::Viewer},
};

/// What came back last.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) model: ModelName,
    pub(super) at: Timestamp,
    pub(super) took: Duration,
    /// What it used, or what went wrong and what to do.
    pub(super) outcome: Result<Usage, String>,
}

/// By provider, since the start of the server. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Trials {
    known: Arc<Mutex<BTreeMap<String, Trial>>>,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct TrialForm {
    provider: String,
    /// As the provider names it.
    model: String,
}

/// A request ends after a minute; this one before.
const PATIENCE: Duration = Duration::from_secs(45);

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    Form(form): Form<TrialForm>,
) -> Result<Redirect, WebError> {
    if !state.config.llm.providers.contains_key(&form.provider) {
        return Err(WebError::NotFound);
    }
    let name = format!("{}/{}", form.provider, form.model.trim());
    let model: ModelName = name.parse().map_err(|error| WebError::Malformed(format!("{error}")))?;
    let (at, begun) = (wall_clock::now(), Instant::now());
    let answer = timeout(PATIENCE, state.vitals.models.ask_for_a_word(&model)).await;
    let took = begun.elapsed();
    let (usage, outcome) = match answer {
        Ok(Ok(answer)) => (answer.usage, Ok(answer.usage)),
        // An answer that was cut is one.
        Ok(Err(LlmError::Truncated { usage, .. })) => (usage, Ok(usage)),
        Ok(Err(error)) => (error.usage(), Err(error.to_string())),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            let text = tr!("no answer within {n} s; look whether the provider is overloaded", n = seconds);
            (Usage::default(), Err(text))
        }
    };
    state.db.note_usage(viewer.id(), usage).await?;
    state.trials.known().insert(form.provider.clone(), Trial { model, at, took, outcome });
    Ok(Redirect::to(&format!("/settings#{}", super::anchor(&form.provider))))
}

impl Trials {
    pub(super) fn of(&self, provider: &str) -> Option<Trial> {
        self.known().get(provider).cloned()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Trial>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
