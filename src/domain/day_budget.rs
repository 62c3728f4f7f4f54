//! What all tasks together may use in one day, and what they used. Days are those of UTC.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::usage::Usage;

/// None: no such limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct DayLimits {
    pub(crate) max_cost_usd: Option<f64>,
    pub(crate) max_tokens: Option<u64>,
}

/// The sums of one day, whatever became of the tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct DayUsage {
    pub(crate) input_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Of the answers whose model has a price.
    pub(crate) cost_usd: f64,
    /// Tokens of the others.
    pub(crate) unpriced_tokens: u64,
}

/// A limit that is reached; its text names it and says when the day ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum DayLimitReached {
    Cost { used: f64, limit: f64 },
    Tokens { used: u64, limit: u64 },
}

impl DayLimits {
    pub(crate) fn are_none(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn reached(self, used: &DayUsage) -> Option<DayLimitReached> {
        let cost = self.max_cost_usd.filter(|limit| used.cost_usd >= *limit);
        let tokens = self.max_tokens.filter(|limit| used.tokens() >= *limit);
        cost.map(|limit| DayLimitReached::Cost { used: used.cost_usd, limit })
            .or(tokens.map(|limit| DayLimitReached::Tokens { used: used.tokens(), limit }))
    }
}

impl DayUsage {
    /// With what one answer used.
    pub(crate) fn plus(self, usage: Usage) -> Self {
        let unpriced = if usage.cost_usd.is_some() { 0 } else { usage.tokens() };
        Self {
            input_tokens: self.input_tokens + usage.input_tokens,
            cached_tokens: self.cached_tokens + usage.cached_tokens,
            output_tokens: self.output_tokens + usage.output_tokens,
            cost_usd: self.cost_usd + usage.cost_usd.unwrap_or(0.0),
            unpriced_tokens: self.unpriced_tokens + unpriced,
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}

impl fmt::Display for DayLimitReached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost { used, limit } => write!(
                formatter,
                "All tasks together cost ${used:.2} today, the server's limit is ${limit:.2} ([agent] max_cost_usd_per_day)."
            )?,
            Self::Tokens { used, limit } => write!(
                formatter,
                "All tasks together used {used} tokens today, the server's limit is {limit} ([agent] max_tokens_per_day)."
            )?,
        }
        formatter.write_str(" The day ends at 00:00 UTC.")
    }
}

/// The name of the day, such as `2026-11-21`.
pub(crate) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

pub(crate) fn end_of_day(at: Timestamp) -> Timestamp {
    const DAY_S: i64 = 24 * 60 * 60;
    let rest = DAY_S - at.as_second().rem_euclid(DAY_S);
    Timestamp::from_second(at.as_second())
        .ok()
        .and_then(|at| at.checked_add(SignedDuration::from_secs(rest)).ok())
        .unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_reached_by_what_has_a_price_and_by_all_tokens() {
        let used = DayUsage { input_tokens: 90, output_tokens: 10, cost_usd: 1.5, ..DayUsage::default() };
        let limits = |max_cost_usd, max_tokens| DayLimits { max_cost_usd, max_tokens };
        assert_eq!(DayLimits::default().reached(&used), None);
        assert_eq!(limits(Some(1.51), Some(101)).reached(&used), None);
        let text = |limits: DayLimits| limits.reached(&used).unwrap().to_string();
        assert!(
            text(limits(Some(1.5), None)).contains("$1.50 today")
                && text(limits(None, Some(100))).contains("100 tokens")
        );
    }

    #[test]
    fn a_day_is_one_of_utc() {
        let at: Timestamp = "2026-11-21T23:59:59.9Z".parse().unwrap();
        assert_eq!((day(at).as_str(), end_of_day(at).to_string().as_str()), ("2026-11-21", "2026-11-22T00:00:00Z"));
        assert_eq!(end_of_day(end_of_day(at)).to_string(), "2026-11-23T00:00:00Z");
    }
}
