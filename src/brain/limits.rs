//! Whether a task may ask the model once more.

use super::{memory::State, request::StepError, session::Session};
use crate::domain::{
    failure::{Failure, FailureKind},
    limits::{Limits, Reached},
    person::Scope,
    usage::Usage,
};

impl Session {
    /// The limit that is reached, of the task or of the day for all tasks. Asked before each paid call. `pending` is what the
    /// last answer used, while it is not stored.
    pub(super) async fn limit_reached(&self, state: &State, pending: Usage) -> Result<Option<Failure>, StepError> {
        let of_task = reached(&self.task.limits, state.steps, state.usage);
        let limits = self.settings.day_limits;
        if of_task.is_some() || limits.are_none() {
            return Ok(of_task);
        }
        let used = self.db.usage_today(Scope::All).await?.plus(pending);
        Ok(limits.reached(&used).map(|reached| {
            let next = "The work so far is kept; start again then, or raise the limit.";
            Failure::new(FailureKind::BudgetExceeded, format!("{reached} {next}"))
        }))
    }
}

/// The limit of the task that is reached, if one is. Asked before each paid call, so a limit is overstepped by one answer at most.
pub(crate) fn reached(limits: &Limits, steps: u32, usage: Usage) -> Option<Failure> {
    let message = match limits.reached(steps, usage).into_iter().next()? {
        Reached::Steps => format!("The model used all {} steps without finishing.", limits.max_steps),
        Reached::Tokens => {
            format!("The model used {} tokens of {} without finishing.", usage.tokens(), limits.max_tokens)
        }
        Reached::Cost { usd } => format!("The task cost ${usd:.2}, its limit is ${:.2}.", limits.max_cost_usd),
    };
    let kept = "The work so far is kept; start again with a higher limit, or with a smaller instruction.";
    Some(Failure::new(FailureKind::BudgetExceeded, format!("{message} {kept}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { max_steps: 3, max_tokens: 100, max_cost_usd: 1.0, setup_timeout_s: 1, task_timeout_s: 1 };

    fn message(steps: u32, tokens: u64, cost_usd: Option<f64>) -> Option<String> {
        let usage = Usage { input_tokens: tokens, cost_usd, ..Usage::default() };
        reached(&LIMITS, steps, usage).map(|failure| failure.message)
    }

    #[test]
    fn each_limit_stops_and_is_named() {
        assert_eq!(message(2, 99, Some(0.99)), None);
        assert!(message(3, 0, None).unwrap().contains("3 steps"));
        assert!(message(0, 100, None).unwrap().contains("100 tokens"));
        assert!(message(0, 0, Some(1.0)).unwrap().contains("$1.00"));
    }
}
