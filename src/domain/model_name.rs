//! The name of a model: `PROVIDER/model-id`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `openai/gpt-5`: the provider is a name from `[llm.providers]`, the rest is the provider's own id and may contain slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ModelName {
    provider: String,
    id: String,
}

/// All models of a provider, or one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Models {
    Of { provider: String },
    One(ModelName),
}

impl Models {
    pub(crate) fn contain(&self, model: &ModelName) -> bool {
        match self {
            Self::Of { provider } => model.provider() == provider,
            Self::One(one) => model == one,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a model name: write PROVIDER/model-id, for example openai/gpt-5 (providers are set in [llm.providers])")]
pub(crate) struct NotAModelName;

const MAX_BYTES: usize = 200;

impl ModelName {
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl TryFrom<String> for ModelName {
    type Error = NotAModelName;

    fn try_from(text: String) -> Result<Self, NotAModelName> {
        if text.len() > MAX_BYTES || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotAModelName);
        }
        match text.split_once('/') {
            Some((provider, id)) if !provider.is_empty() && !id.is_empty() => {
                Ok(Self { provider: provider.to_owned(), id: id.to_owned() })
            }
            _ => Err(NotAModelName),
        }
    }
}

impl std::str::FromStr for ModelName {
    type Err = NotAModelName;

    fn from_str(text: &str) -> Result<Self, NotAModelName> {
        Self::try_from(text.to_owned())
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.provider, self.id)
    }
}
