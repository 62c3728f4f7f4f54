//! What a task used of the model, and what that cost.

use serde::{Deserialize, Serialize};

/// Tokens as the provider counts them; the cost in US dollars, unknown while a model has no price in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Usage {
    pub(crate) input_tokens: u64,
    /// Part of `input_tokens` that the provider served from its cache.
    #[serde(default)]
    pub(crate) cached_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) cost_usd: Option<f64>,
}

impl Usage {
    /// The sum of two; its cost is known when both are, or when one has no tokens.
    pub(crate) fn plus(self, other: Self) -> Self {
        let cost_usd = match (self.cost_usd, other.cost_usd) {
            (Some(mine), Some(theirs)) => Some(mine + theirs),
            (None, theirs) if self.tokens() == 0 => theirs,
            (mine, None) if other.tokens() == 0 => mine,
            _ => None,
        };
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            cached_tokens: self.cached_tokens + other.cached_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            cost_usd,
        }
    }

    /// What was added since it was `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let cost_usd = match (self.cost_usd, earlier.cost_usd) {
            (Some(now), Some(then)) => Some((now - then).max(0.0)),
            (now, _) if earlier.tokens() == 0 => now,
            _ => None,
        };
        Self {
            input_tokens: self.input_tokens.saturating_sub(earlier.input_tokens),
            cached_tokens: self.cached_tokens.saturating_sub(earlier.cached_tokens),
            output_tokens: self.output_tokens.saturating_sub(earlier.output_tokens),
            cost_usd,
        }
    }

    pub(crate) fn tokens(self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unpriced_answer_makes_the_whole_cost_unknown() {
        let priced = Usage { input_tokens: 10, cached_tokens: 0, output_tokens: 1, cost_usd: Some(0.5) };
        let unpriced = Usage { cost_usd: None, ..priced };
        assert_eq!(Usage::default().plus(priced).cost_usd, Some(0.5));
        assert_eq!(priced.plus(priced).cost_usd, Some(1.0));
        assert_eq!(priced.plus(unpriced).cost_usd, None);
    }
}
