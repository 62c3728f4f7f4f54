//! What tokens cost.

use crate::domain::usage::Usage;

/// US dollars per million tokens, as providers publish them.
#[expect(clippy::struct_field_names, reason = "the unit belongs into the name")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Price {
    pub(crate) input_usd_per_million: f64,
    /// Missing: cached input costs as much as other input.
    pub(crate) cached_input_usd_per_million: Option<f64>,
    pub(crate) output_usd_per_million: f64,
}

impl Price {
    /// US dollars. Writing to a provider's cache is counted as plain input, since usage does not tell it apart.
    pub(crate) fn cost(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let cached_price = self.cached_input_usd_per_million.unwrap_or(self.input_usd_per_million);
        (tokens(usage.input_tokens - cached) * self.input_usd_per_million
            + tokens(cached) * cached_price
            + tokens(usage.output_tokens) * self.output_usd_per_million)
            / 1e6
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn tokens(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_is_charged_at_its_own_price() {
        let usage = Usage { input_tokens: 3_000_000, cached_tokens: 2_000_000, output_tokens: 500_000, cost_usd: None };
        let price =
            Price { input_usd_per_million: 2.0, cached_input_usd_per_million: Some(0.5), output_usd_per_million: 10.0 };
        assert!((price.cost(&usage) - 8.0).abs() < 1e-9);
        let flat = Price { cached_input_usd_per_million: None, ..price };
        assert!((flat.cost(&usage) - 11.0).abs() < 1e-9);
    }
}
