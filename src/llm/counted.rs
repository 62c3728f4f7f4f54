//! A model whose failed tries are counted, those that are made again too.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Answer, LlmError, Model, Request};
use crate::metrics::Metrics;

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) provider: String,
    pub(super) model: Arc<dyn Model>,
    pub(super) metrics: Metrics,
}

impl Model for Counted {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
        Box::pin(async move {
            let answer = self.model.answer(request).await;
            if let Err(error) = &answer {
                self.metrics.model_failed(&self.provider, kind(error));
            }
            answer
        })
    }
}

fn kind(error: &LlmError) -> &'static str {
    match error {
        LlmError::Unavailable { .. } => "unavailable",
        LlmError::Refused { .. } => "refused",
        LlmError::BadOutput { .. } => "bad_output",
        LlmError::Truncated { .. } => "truncated",
        LlmError::Script { .. } => "script",
    }
}
