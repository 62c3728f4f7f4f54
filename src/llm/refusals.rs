//! What providers refuse us: a key, and with it all their models (401), or a model (403).
//!
//! It is not tried again and again by every task: for a while nobody asks, then one request may find out whether it is taken
//! now. An answer ends the refusal; so does a restart, which reads the key anew.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::LlmError;
use crate::domain::model_name::{ModelName, Models};

/// Of one provider.
#[derive(Debug)]
pub(super) struct Refusals {
    provider: String,
    /// How long nobody asks.
    pause: Duration,
    known: Mutex<HashMap<Whose, Known>>,
}

/// A refusal that stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) models: Models,
    /// The model that was asked for.
    pub(crate) asked: ModelName,
    /// What the provider said and what to do.
    pub(crate) reason: String,
}

/// A model, or the key itself.
type Whose = Option<String>;

#[derive(Debug)]
struct Known {
    status: u16,
    message: String,
    asked: String,
    /// When somebody may try again.
    until: Instant,
}

impl Refusals {
    pub(super) fn new(provider: String, pause: Duration) -> Self {
        Self { provider, pause, known: Mutex::default() }
    }

    /// Those that stand.
    pub(super) fn standing(&self) -> Vec<Refusal> {
        let name = |id: &str| format!("{}/{id}", self.provider).parse::<ModelName>().ok();
        let known = self.known();
        let standing = known.iter().filter_map(|(whose, known)| {
            let models = match whose {
                None => Models::Of { provider: self.provider.clone() },
                Some(id) => Models::One(name(id)?),
            };
            Some(Refusal { models, asked: name(&known.asked)?, reason: known.message.clone() })
        });
        standing.collect()
    }

    /// Whether it is too early to ask.
    pub(super) fn keep_out(&self, model_id: &str) -> Result<(), LlmError> {
        let (known, now) = (self.known(), Instant::now());
        let standing =
            whose(model_id).into_iter().find_map(|whose| known.get(&whose).filter(|known| now < known.until));
        standing.map_or(Ok(()), |standing| Err(again(standing, now)))
    }

    /// The same; and whoever may try keeps the others out until it knows.
    pub(super) fn probe(&self, model_id: &str) -> Result<(), LlmError> {
        self.keep_out(model_id)?;
        let mut known = self.known();
        for whose in whose(model_id) {
            if let Some(refusal) = known.get_mut(&whose) {
                refusal.until = Instant::now() + self.pause;
            }
        }
        Ok(())
    }

    pub(super) fn learn(&self, model_id: &str, error: Option<&LlmError>) {
        match error {
            // An answer that was cut is one.
            None | Some(LlmError::Truncated { .. }) => {
                for whose in whose(model_id) {
                    if self.known().remove(&whose).is_some() {
                        tracing::info!(provider = self.provider, "the key is accepted again");
                    }
                }
            }
            Some(LlmError::Refused { status: Some(status @ (401 | 403)), message }) => {
                let whose = (*status == 403).then(|| model_id.to_owned());
                let until = Instant::now() + self.pause;
                let known = Known { status: *status, message: message.clone(), asked: model_id.to_owned(), until };
                if self.known().insert(whose, known).is_none() {
                    let pause = self.pause.as_secs();
                    tracing::error!("{message}; {} is asked every {pause} s until it answers", self.provider);
                }
            }
            Some(_) => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Whose, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refused key keeps every model out, a refused model only itself.
fn whose(model_id: &str) -> [Whose; 2] {
    [None, Some(model_id.to_owned())]
}

fn again(known: &Known, now: Instant) -> LlmError {
    let seconds = known.until.saturating_duration_since(now).as_secs() + 1;
    let message = format!("{} (said to an earlier request; it is not asked again for {seconds} s)", known.message);
    LlmError::Refused { status: Some(known.status), message }
}
