//! Ask again when that may help, politely and not for ever.

use std::time::Duration;

use super::{Answer, LlmError, Model, Request};
use crate::domain::usage::Usage;

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// All tries, the first included.
    pub(crate) tries: u32,
    /// Tries while the provider answers nonsense: each was likely paid for.
    pub(crate) tries_on_bad_output: u32,
    /// Doubles from wait to wait; a random half of it is taken off so that tasks do not come back together.
    pub(crate) first_wait: Duration,
    /// No wait is longer, whatever the provider asks for.
    pub(crate) longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 6,
            tries_on_bad_output: 2,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(2),
        }
    }
}

/// The first good answer, or the last error. Both carry the usage of all tries.
/// `on_wait` hears the number of the try that failed (from 1), the wait that follows, and the error.
pub(crate) async fn answer_with_retries(
    model: &dyn Model,
    request: &Request<'_>,
    policy: &RetryPolicy,
    mut on_wait: impl FnMut(u32, Duration, &LlmError) + Send,
) -> Result<Answer, LlmError> {
    let mut spent = Usage::default();
    let mut bad_outputs = 0;
    let mut attempt = 1;
    loop {
        let error = match model.answer(request).await {
            Ok(answer) => return Ok(Answer { usage: spent.plus(answer.usage), ..answer }),
            Err(error) => error,
        };
        spent = spent.plus(error.usage());
        bad_outputs += u32::from(matches!(error, LlmError::BadOutput { .. }));
        if !error.is_retryable() || attempt >= policy.tries || bad_outputs >= policy.tries_on_bad_output {
            return Err(error.with_usage(spent));
        }
        let wait = wait_after(attempt, &error, policy);
        on_wait(attempt, wait, &error);
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

fn wait_after(attempt: u32, error: &LlmError, policy: &RetryPolicy) -> Duration {
    let doubled = policy.first_wait.saturating_mul(2_u32.saturating_pow(attempt - 1));
    let jittered = doubled.min(policy.longest_wait).mul_f64(rand::random_range(0.5..=1.0));
    let asked = match error {
        LlmError::Unavailable { retry_after: Some(asked), .. } => *asked,
        _ => Duration::ZERO,
    };
    jittered.max(asked).min(policy.longest_wait)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::domain::conversation::AssistantMessage;
    use crate::llm::{Hold, Listener};

    /// Answers what it was told to, one result a call.
    #[derive(Debug)]
    struct Prepared(Mutex<VecDeque<Result<Answer, LlmError>>>);

    impl Model for Prepared {
        fn answer<'a>(&'a self, _: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
            let next = self.0.lock().unwrap().pop_front().expect("asked more often than expected");
            Box::pin(async move { next })
        }
    }

    fn busy(retry_after: Option<Duration>) -> Result<Answer, LlmError> {
        Err(LlmError::Unavailable { message: "busy".to_owned(), retry_after, usage: Usage::default() })
    }

    fn nonsense() -> Result<Answer, LlmError> {
        let usage = Usage { input_tokens: 5, output_tokens: 1, ..Usage::default() };
        Err(LlmError::BadOutput { message: "nonsense".to_owned(), usage })
    }

    fn good() -> Answer {
        let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
        Answer { message: AssistantMessage::default(), usage, raw: String::new() }
    }

    async fn ask(
        results: impl IntoIterator<Item = Result<Answer, LlmError>>,
    ) -> (Result<Answer, LlmError>, Vec<Duration>) {
        let model = Prepared(Mutex::new(results.into_iter().collect()));
        let request = Request {
            model_id: "m",
            messages: &[],
            tools: &[],
            max_output_tokens: 1,
            listener: Listener::default(),
            hold: Hold::default(),
        };
        let policy = RetryPolicy {
            first_wait: Duration::from_millis(4),
            longest_wait: Duration::from_millis(40),
            ..RetryPolicy::default()
        };
        let mut waits = Vec::new();
        let answer = answer_with_retries(&model, &request, &policy, |_, wait, _| waits.push(wait)).await;
        assert!(model.0.lock().unwrap().is_empty(), "gave up before the end");
        (answer, waits)
    }

    #[tokio::test]
    async fn a_busy_provider_is_asked_six_times_with_growing_waits() {
        let (answer, waits) = ask((0..6).map(|_| busy(None))).await;
        assert!(matches!(answer, Err(LlmError::Unavailable { .. })));
        assert_eq!(waits.len(), 5);
        for (wait, least) in waits.iter().zip([2, 4, 8, 16, 20]) {
            assert!(*wait >= Duration::from_millis(least) && *wait <= Duration::from_millis(2 * least), "{waits:?}");
        }
    }

    #[tokio::test]
    async fn the_provider_may_ask_for_more_time_within_the_cap() {
        let asked = Duration::from_millis(30);
        let (answer, waits) = ask([busy(Some(asked)), busy(Some(Duration::from_hours(1))), Ok(good())]).await;
        assert!(answer.is_ok());
        assert_eq!(waits, [asked, Duration::from_millis(40)]);
    }

    #[tokio::test]
    async fn nonsense_is_tried_once_more_and_both_tries_are_counted() {
        let (answer, _) = ask([nonsense(), Ok(good())]).await;
        assert_eq!(answer.unwrap().usage.input_tokens, 15);
        let (answer, _) = ask([nonsense(), nonsense()]).await;
        assert_eq!(answer.unwrap_err().usage().input_tokens, 10);
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let refused = LlmError::Refused { status: Some(400), message: "no such model".to_owned() };
        let (answer, waits) = ask([Err(refused.clone())]).await;
        assert_eq!(answer, Err(refused));
        assert!(waits.is_empty());
    }
}
