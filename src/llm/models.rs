//! The configured providers by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::counted::Counted;
use super::door::{Door, Pace};
use super::fenced::{Fenced, ToolCalls};
use super::hosted::{Hosted, HostedSettings, SettingsError};
use super::refusals::{Refusal, Refusals};
use super::scripted::Scripts;
use super::{Answer, Hold, Listener, LlmError, Model, Request};
use crate::domain::conversation::Message;
use crate::domain::model_name::ModelName;
use crate::metrics::Metrics;

/// Built once at the start; asking it is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Models {
    by_provider: BTreeMap<String, Arc<dyn Model>>,
    refusals: Vec<Arc<Refusals>>,
}

/// One section `[llm.providers.NAME]`.
#[derive(Debug)]
pub(crate) enum ProviderSettings {
    Hosted(HostedSettings, Pace, ToolCalls),
    Scripted { name: String, scripts: Scripts },
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no provider {wanted:?} is configured (there are: {known}); name one of them, or add [llm.providers.{wanted}]")]
pub(crate) struct UnknownProvider {
    wanted: String,
    known: String,
}

impl Models {
    /// A provider that refused a key is left alone for `refused_pause`.
    pub(crate) fn new(
        providers: Vec<ProviderSettings>,
        refused_pause: Duration,
        metrics: &Metrics,
    ) -> Result<Self, SettingsError> {
        let mut all_refusals = Vec::new();
        let mut by_provider = BTreeMap::<String, Arc<dyn Model>>::new();
        for provider in providers {
            match provider {
                ProviderSettings::Hosted(settings, pace, tool_calls) => {
                    let name = settings.name.clone();
                    let refusals = Arc::new(Refusals::new(name.clone(), refused_pause));
                    let door = Door::new(name.clone(), pace, refusals.clone(), Arc::new(Hosted::new(settings)?));
                    all_refusals.push(refusals);
                    by_provider.insert(name.clone(), Arc::new(Fenced::new(name, tool_calls, door)));
                }
                ProviderSettings::Scripted { name, scripts } => {
                    by_provider.insert(name, Arc::new(scripts));
                }
            }
        }
        let counted = |(provider, model): (String, Arc<dyn Model>)| {
            let counted = Counted { provider: provider.clone(), model, metrics: metrics.clone() };
            (provider, Arc::new(counted) as Arc<dyn Model>)
        };
        Ok(Self { by_provider: by_provider.into_iter().map(counted).collect(), refusals: all_refusals })
    }

    /// Keys and models that are refused now.
    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refusals.iter().flat_map(|refusals| refusals.standing()).collect()
    }

    /// Asks for a word, to see whether a key is accepted; costs some twenty tokens if it is. Nobody is asked too early.
    pub(crate) async fn ask_for_a_word(&self, model: &ModelName) -> Result<Answer, LlmError> {
        let asked = self.get(model).map_err(|error| LlmError::Refused { status: None, message: error.to_string() })?;
        let messages = [Message::User { text: "Answer with the word yes.".to_owned() }];
        let request = Request {
            model_id: model.id(),
            messages: &messages,
            tools: &[],
            max_output_tokens: 16,
            listener: Listener::default(),
            hold: Hold::default(),
        };
        asked.answer(&request).await
    }

    /// The model that answers for the provider of `model`; the request then names `model.id()`.
    pub(crate) fn get(&self, model: &ModelName) -> Result<Arc<dyn Model>, UnknownProvider> {
        self.by_provider.get(model.provider()).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.by_provider.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            UnknownProvider { wanted: model.provider().to_owned(), known }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_name_and_an_unknown_one_is_told_the_others() {
        let scripted = |name: &str| ProviderSettings::Scripted { name: name.to_owned(), scripts: Scripts::default() };
        let models = Models::new(vec![scripted("play"), scripted("demo")], Duration::ZERO, &Metrics::new()).unwrap();
        let get = |name: &str| models.get(&name.parse().unwrap());
        assert!(get("play/some/id").is_ok());
        assert_eq!(
            get("openai/gpt-5").unwrap_err().to_string(),
            "no provider \"openai\" is configured (there are: demo, play); \
             name one of them, or add [llm.providers.openai]"
        );
    }
}
