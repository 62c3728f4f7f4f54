//! What a task may use before it is stopped.

use serde::{Deserialize, Serialize};

use super::usage::Usage;

/// The limits a task runs under, fixed when it is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Limits {
    /// Replies of the model.
    pub(crate) max_steps: u32,
    /// Tokens read and written by the model.
    pub(crate) max_tokens: u64,
    /// US dollars; holds for models with a price in the configuration.
    pub(crate) max_cost_usd: f64,
    /// Seconds for `setup.sh`.
    pub(crate) setup_timeout_s: u64,
    /// Seconds for the whole task, from the start of its first stage.
    pub(crate) task_timeout_s: u64,
}

/// What the submitter asked to have different from the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsWish {
    pub(crate) max_steps: Option<u32>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_cost_usd: Option<f64>,
    pub(crate) setup_timeout_s: Option<u64>,
    pub(crate) task_timeout_s: Option<u64>,
}

/// A limit of the whole task that is used up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reached {
    Steps,
    Tokens,
    Cost { usd: f64 },
}

impl Limits {
    /// What is used up of these. A task that costs nothing has no limit of cost.
    pub(crate) fn reached(&self, steps: u32, usage: Usage) -> Vec<Reached> {
        let cost = usage.cost_usd.filter(|cost| *cost > 0.0 && *cost >= self.max_cost_usd);
        let steps = (steps >= self.max_steps).then_some(Reached::Steps);
        let tokens = (usage.tokens() >= self.max_tokens).then_some(Reached::Tokens);
        [steps, tokens, cost.map(|usd| Reached::Cost { usd })].into_iter().flatten().collect()
    }

    /// These limits with what was wished in their place.
    pub(crate) fn with(self, wish: LimitsWish) -> Self {
        Self {
            max_steps: wish.max_steps.unwrap_or(self.max_steps),
            max_tokens: wish.max_tokens.unwrap_or(self.max_tokens),
            max_cost_usd: wish.max_cost_usd.unwrap_or(self.max_cost_usd),
            setup_timeout_s: wish.setup_timeout_s.unwrap_or(self.setup_timeout_s),
            task_timeout_s: wish.task_timeout_s.unwrap_or(self.task_timeout_s),
        }
    }
}
