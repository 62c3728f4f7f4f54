//! The configured providers by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Model;
use super::counted::Counted;
use super::door::{Door, Pace};
use super::fenced::{Fenced, ToolCalls};
use super::hosted::{Hosted, HostedSettings, SettingsError};
use super::scripted::Scripts;
use crate::domain::model_name::ModelName;
use crate::metrics::Metrics;

/// Built once at the start; asking it is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Models {
    by_provider: BTreeMap<String, Arc<dyn Model>>,
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
    pub(crate) fn new(providers: Vec<ProviderSettings>, metrics: &Metrics) -> Result<Self, SettingsError> {
        let mut by_provider = BTreeMap::<String, Arc<dyn Model>>::new();
        for provider in providers {
            match provider {
                ProviderSettings::Hosted(settings, pace, tool_calls) => {
                    let name = settings.name.clone();
                    let door = Door::new(name.clone(), pace, Arc::new(Hosted::new(settings)?));
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
        Ok(Self { by_provider: by_provider.into_iter().map(counted).collect() })
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
        let models = Models::new(vec![scripted("play"), scripted("demo")], &Metrics::new()).unwrap();
        let get = |name: &str| models.get(&name.parse().unwrap());
        assert!(get("play/some/id").is_ok());
        assert_eq!(
            get("openai/gpt-5").unwrap_err().to_string(),
            "no provider \"openai\" is configured (there are: demo, play); \
             name one of them, or add [llm.providers.openai]"
        );
    }
}
